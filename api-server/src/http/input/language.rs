//! The language of messages.

use axum::http::{HeaderMap, header};

use crate::http::error::Language;

/// English when `Accept-Language` weighs it above Chinese, else Chinese.
pub fn preferred_language(headers: &HeaderMap) -> Language {
    let mut chinese = 0.0_f32;
    let mut english = 0.0_f32;
    let texts = headers
        .get_all(header::ACCEPT_LANGUAGE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    for item in texts.flat_map(|text| text.split(',')) {
        let mut parts = item.split(';');
        let tag = parts.next().unwrap_or("").trim().to_ascii_lowercase();
        let weight = parts
            .find_map(|part| part.trim().strip_prefix("q="))
            .map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
        match tag.split('-').next() {
            Some("zh") => chinese = chinese.max(weight),
            Some("en") => english = english.max(weight),
            _ => {}
        }
    }
    if english > chinese {
        Language::English
    } else {
        Language::Chinese
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_decide_and_chinese_is_the_default() {
        for (text, expected) in [
            ("", Language::Chinese),
            ("en", Language::English),
            ("en-GB,en;q=0.9", Language::English),
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Chinese),
            ("en;q=0.9, zh;q=0.5", Language::English),
            ("fr, *;q=0.5", Language::Chinese),
            ("en;q=0", Language::Chinese),
            ("en;q=nonsense", Language::Chinese),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, text.parse().unwrap());
            assert_eq!(preferred_language(&headers), expected, "{text}");
        }
        assert_eq!(preferred_language(&HeaderMap::new()), Language::Chinese);
    }
}
