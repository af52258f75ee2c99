//! Sentences for people, in the languages that a session may speak.

use std::{borrow::Cow, fmt};

// protocol: "An app that names no language gets English"
/// The language of a session's sentences; `Login.language` names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// Also for apps that name none, and for languages that are not spoken here.
    #[default]
    English,
    /// Simplified Chinese, for every kind of Chinese.
    Chinese,
}

impl Language {
    // protocol: "are in the language of Login.language"
    /// The language that a BCP 47 tag asks for, as in `zh-Hans-CN`; `_` separates as well.
    pub fn of(tag: &str) -> Self {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        if primary.eq_ignore_ascii_case("zh") {
            Self::Chinese
        } else {
            Self::English
        }
    }
}

/// A sentence for people in each language. It displays in English, the language of logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    en: Cow<'static, str>,
    zh: Cow<'static, str>,
}

impl Sentence {
    /// A fixed sentence.
    pub const fn new(en: &'static str, zh: &'static str) -> Self {
        Self {
            en: Cow::Borrowed(en),
            zh: Cow::Borrowed(zh),
        }
    }

    /// A sentence with values in it.
    pub fn formatted(en: String, zh: String) -> Self {
        Self {
            en: en.into(),
            zh: zh.into(),
        }
    }

    /// The sentence in one language.
    pub fn text(&self, language: Language) -> &str {
        match language {
            Language::English => &self.en,
            Language::Chinese => &self.zh,
        }
    }
}

impl fmt::Display for Sentence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.text(Language::English))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // protocol: "are in the language of Login.language"
    #[test]
    fn every_kind_of_chinese_is_chinese_and_everything_else_is_english() {
        for tag in ["zh", "zh-CN", "ZH-Hant-TW", "zh_CN"] {
            assert_eq!(Language::of(tag), Language::Chinese, "{tag}");
        }
        for tag in ["", "en", "en-GB", "fr", "zha", "-zh", "中文"] {
            assert_eq!(Language::of(tag), Language::English, "{tag}");
        }
    }
}
