//! Errors of requests: a permanent code, its HTTP status, and a sentence in Chinese and in English.

mod code;

use std::{borrow::Cow, sync::Arc};

use axum::response::{IntoResponse, Response};
use database::{Kind, Outage};

pub use code::ErrorCode;

/// A refusal or a failure of one request. Its sentence is made where the request's language is known.
#[derive(Clone, Debug)]
pub struct Error {
    code: ErrorCode,
    field: Option<Cow<'static, str>>,
    /// The rule that the field breaks, in Chinese and in English, instead of the code's sentence.
    rule: Option<(Cow<'static, str>, Cow<'static, str>)>,
    retry_after_s: Option<u64>,
    /// For the log only.
    inner: Option<Arc<str>>,
    /// A dependency is away. Its outage has a log line at its beginning and its end, and none for each request.
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
    /// An error with the sentence of its code.
    pub const fn new(code: ErrorCode) -> Self {
        Self {
            code,
            field: None,
            rule: None,
            retry_after_s: None,
            inner: None,
            is_outage: false,
        }
    }

    /// A field that breaks a rule, in both languages.
    pub fn invalid(
        field: impl Into<Cow<'static, str>>,
        zh: impl Into<Cow<'static, str>>,
        en: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            rule: Some((zh.into(), en.into())),
            ..Self::new(ErrorCode::Invalid).field(field)
        }
    }

    /// An internal error; `inner` goes to the log.
    pub fn internal(inner: impl std::fmt::Display) -> Self {
        Self {
            inner: Some(inner.to_string().into()),
            ..Self::new(ErrorCode::Internal)
        }
    }

    /// A dependency is away; `inner` goes to the log.
    pub fn unavailable(inner: impl std::fmt::Display) -> Self {
        /// The usual time that a dependency needs to restart.
        const RETRY_AFTER_S: u64 = 5;
        Self {
            inner: Some(inner.to_string().into()),
            ..Self::new(ErrorCode::Unavailable).retry_after(RETRY_AFTER_S)
        }
    }

    /// The database is away or read-only.
    fn outage(outage: Outage, inner: impl std::fmt::Display) -> Self {
        let code = if outage.is_readable() {
            ErrorCode::ReadOnly
        } else {
            ErrorCode::Unavailable
        };
        Self {
            inner: Some(inner.to_string().into()),
            is_outage: true,
            ..Self::new(code).retry_after(outage.retry_after().as_secs())
        }
    }

    /// With the field at fault.
    #[must_use]
    pub fn field(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// With the seconds after which to retry.
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

    /// The code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The field at fault.
    pub fn at(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// The seconds after which to retry.
    pub fn retry_after_s(&self) -> Option<u64> {
        self.retry_after_s
    }

    /// Whether a dependency is away, which has log lines of its own.
    pub fn is_outage(&self) -> bool {
        self.is_outage
    }

    /// The text for the log.
    pub fn inner(&self) -> Option<&str> {
        self.inner.as_deref()
    }

    /// The sentence for users.
    pub fn message(&self, language: Language) -> String {
        let field = self.field.as_deref().unwrap_or("");
        match (&self.rule, language) {
            (Some((zh, _)), Language::Chinese) => format!("字段 {field} 无效：{zh}"),
            (Some((_, en)), Language::English) => format!("Field {field} is invalid: {en}"),
            (None, language) => self.code.sentence(language).into_owned(),
        }
    }
}

impl From<ErrorCode> for Error {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}

impl From<database::Error> for Error {
    /// Maps kinds of the database's errors to codes.
    fn from(error: database::Error) -> Self {
        match error.kind() {
            Kind::Outage(outage) => Self::outage(outage, error),
            // The transaction maps violations by callers to codes of their own.
            Kind::Caller | Kind::Damage | Kind::Fault => Self::internal(error),
        }
    }
}

impl From<journal::Error> for Error {
    /// The domains map errors that callers can cause to codes of their own; others are faults.
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
    /// The bare status with the error attached. The middleware `observe`, which knows language and request id, writes the
    /// envelope.
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
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
        for (error, code) in [
            (database::Error::Unavailable(told()), ErrorCode::Unavailable),
            (database::Error::Closed, ErrorCode::Unavailable),
            (database::Error::Busy(told()), ErrorCode::Unavailable),
            (database::Error::Full(told()), ErrorCode::ReadOnly),
            (database::Error::ReadOnly(told()), ErrorCode::ReadOnly),
            (database::Error::Standby(told()), ErrorCode::ReadOnly),
        ] {
            let error = Error::from(journal::Error::Database(error));
            assert_eq!(error.code(), code);
            assert_eq!(error.code().status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(error.retry_after_s().is_some_and(|seconds| seconds > 0));
            assert!(error.is_outage());
        }
        for error in [
            database::Error::Engine(told()),
            database::Error::Damaged("told"),
            database::Error::Refused,
        ] {
            let error = Error::from(error);
            assert_eq!(error.code(), ErrorCode::Internal);
            assert!(!error.is_outage());
        }
    }
}
