//! Everything that a request can be refused with: one stable word each, its HTTP status, a sentence in Chinese and in
//! English.

mod word;

use std::{borrow::Cow, sync::Arc};

use axum::response::{IntoResponse, Response};
use database::{Kind, Outage};

pub use word::Word;

/// A refusal or a failure of one request. Its text for people is made where the request's language is known.
#[derive(Clone, Debug)]
pub struct Error {
    word: Word,
    field: Option<Cow<'static, str>>,
    /// The rule that was broken, in Chinese and in English; without it the word's own sentence is used.
    rule: Option<(Cow<'static, str>, Cow<'static, str>)>,
    retry_after_s: Option<u64>,
    /// For the log only.
    inner: Option<Arc<str>>,
    /// A dependency cannot be used: the log has a line where that begins and where it ends, and none for each request.
    is_outage: bool,
}

/// The language of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// The default.
    Chinese,
    /// When `Accept-Language` prefers it.
    English,
}

impl Error {
    /// An error with its word's own sentence.
    pub const fn new(word: Word) -> Self {
        Self {
            word,
            field: None,
            rule: None,
            retry_after_s: None,
            inner: None,
            is_outage: false,
        }
    }

    /// A field that breaks a rule, told in both languages.
    pub fn invalid(
        field: impl Into<Cow<'static, str>>,
        zh: impl Into<Cow<'static, str>>,
        en: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            rule: Some((zh.into(), en.into())),
            ..Self::new(Word::Invalid).field(field)
        }
    }

    /// A fault of ours; `inner` goes to the log.
    pub fn internal(inner: impl std::fmt::Display) -> Self {
        Self {
            inner: Some(inner.to_string().into()),
            ..Self::new(Word::Internal)
        }
    }

    /// Something that the service needs is away; `inner` goes to the log.
    pub fn unavailable(inner: impl std::fmt::Display) -> Self {
        /// How long a dependency that restarts is usually away.
        const RETRY_AFTER_S: u64 = 5;
        Self {
            inner: Some(inner.to_string().into()),
            ..Self::new(Word::Unavailable).retry_after(RETRY_AFTER_S)
        }
    }

    /// The database cannot be used now.
    fn outage(outage: Outage, inner: impl std::fmt::Display) -> Self {
        let word = if outage.is_readable() {
            Word::ReadOnly
        } else {
            Word::Unavailable
        };
        Self {
            inner: Some(inner.to_string().into()),
            is_outage: true,
            ..Self::new(word).retry_after(outage.retry_after().as_secs())
        }
    }

    /// With the field that is at fault.
    #[must_use]
    pub fn field(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// With the seconds after which to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// With a text for the log.
    #[must_use]
    pub fn because(mut self, inner: impl std::fmt::Display) -> Self {
        self.inner = Some(inner.to_string().into());
        self
    }

    /// The word.
    pub fn word(&self) -> Word {
        self.word
    }

    /// The field at fault.
    pub fn at(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// The seconds after which to try again.
    pub fn retry_after_s(&self) -> Option<u64> {
        self.retry_after_s
    }

    /// Whether a dependency cannot be used, which has log lines of its own.
    pub fn is_outage(&self) -> bool {
        self.is_outage
    }

    /// What the log gets to know.
    pub fn inner(&self) -> Option<&str> {
        self.inner.as_deref()
    }

    /// The sentence for people.
    pub fn message(&self, language: Language) -> String {
        let field = self.field.as_deref().unwrap_or("");
        match (&self.rule, language) {
            (Some((zh, _)), Language::Chinese) => format!("字段 {field} 不符合要求：{zh}"),
            (Some((_, en)), Language::English) => format!("The field {field} is not as it must be: {en}"),
            (None, Language::Chinese) => self.word.zh().to_owned(),
            (None, Language::English) => self.word.en().to_owned(),
        }
    }
}

impl From<Word> for Error {
    fn from(word: Word) -> Self {
        Self::new(word)
    }
}

impl From<database::Error> for Error {
    /// The one place where kinds of the database's errors become words.
    fn from(error: database::Error) -> Self {
        match error.kind() {
            Kind::Outage(outage) => Self::outage(outage, error),
            // Violations by callers were mapped to their own words in the transaction.
            Kind::Caller | Kind::Damage | Kind::Fault => Self::internal(error),
        }
    }
}

impl From<journal::Error> for Error {
    /// What a caller can cause is turned into their own word where it happens; what comes here is a fault.
    fn from(error: journal::Error) -> Self {
        match error {
            journal::Error::Database(error) => error.into(),
            other => Self::internal(other),
        }
    }
}

impl From<backplane::Unavailable> for Error {
    fn from(error: backplane::Unavailable) -> Self {
        Self {
            is_outage: true,
            ..Self::unavailable(error)
        }
    }
}

impl IntoResponse for Error {
    /// The bare status with the error beside it; the middleware `observe` writes the envelope, since it knows the language and
    /// the request's id.
    fn into_response(self) -> Response {
        let mut response = self.word.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[test]
    fn an_outage_of_the_database_is_503_with_retry_after_and_a_fault_is_500() {
        let told = || "told".to_owned();
        for (error, word) in [
            (database::Error::Unavailable(told()), Word::Unavailable),
            (database::Error::Closed, Word::Unavailable),
            (database::Error::Busy(told()), Word::Unavailable),
            (database::Error::Full(told()), Word::ReadOnly),
            (database::Error::ReadOnly(told()), Word::ReadOnly),
            (database::Error::Standby(told()), Word::ReadOnly),
        ] {
            let error = Error::from(journal::Error::Database(error));
            assert_eq!(error.word(), word);
            assert_eq!(error.word().status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(error.retry_after_s().is_some_and(|seconds| seconds > 0));
            assert!(error.is_outage());
        }
        for error in [
            database::Error::Engine(told()),
            database::Error::Damaged("told"),
            database::Error::Refused,
        ] {
            let error = Error::from(error);
            assert_eq!(error.word(), Word::Internal);
            assert!(!error.is_outage());
        }
    }
}
