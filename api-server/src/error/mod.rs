//! Errors of requests: a permanent code, its HTTP status, and a sentence in Chinese and in English.

mod code;

use std::{borrow::Cow, sync::Arc};

use axum::response::{IntoResponse, Response};
use database::{Kind, Outage};
use ledger::{FIRST_DAY, Fen, LAST_DAY, Window};

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
    /// The window for withdrawals that the request has to wait for. Its sentence names the times.
    window: Option<Box<Window>>,
    /// The limit of a record that was reached.
    limit: Option<i64>,
    /// The amount of the wallet that one request takes back now, fen.
    refundable_fen: Option<i64>,
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
            window: None,
            limit: None,
            refundable_fen: None,
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

    /// With another code than that of invalid fields.
    #[must_use]
    pub fn coded(mut self, code: ErrorCode) -> Self {
        self.code = code;
        self
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

    /// The media store is away; `inner` goes to the log.
    pub fn store_away(inner: impl std::fmt::Display) -> Self {
        /// The usual time of a short outage.
        const RETRY_AFTER_S: u64 = 5;
        Self {
            inner: Some(inner.to_string().into()),
            is_outage: true,
            ..Self::new(ErrorCode::MediaStoreAway).retry_after(RETRY_AFTER_S)
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

    /// A withdrawal outside the window.
    pub fn window_closed(next: Window) -> Self {
        Self {
            window: Some(Box::new(next)),
            ..Self::new(ErrorCode::WindowClosed)
        }
    }

    /// As many consults of a member with a team as it allows.
    pub fn open_consults(limit: i64) -> Self {
        Self {
            limit: Some(limit),
            ..Self::new(ErrorCode::OpenConsultLimit)
        }
    }

    /// With the amount of the wallet that one request takes back now, fen.
    #[must_use]
    pub fn refundable(mut self, fen: i64) -> Self {
        self.refundable_fen = Some(fen);
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

    /// The window that a withdrawal has to wait for.
    pub fn window(&self) -> Option<Window> {
        self.window.as_deref().copied()
    }

    /// The limit of a record that was reached.
    pub fn limit(&self) -> Option<i64> {
        self.limit
    }

    /// The amount of the wallet that one request takes back now, fen.
    pub fn refundable_fen(&self) -> Option<i64> {
        self.refundable_fen
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
            (None, language) => match (&self.window, self.refundable_fen.and_then(Fen::new)) {
                (Some(window), _) => waits(window, language),
                (None, Some(fen)) => takes_back(&self.code.sentence(language), fen, language),
                (None, None) => self.code.sentence(language).into_owned(),
            },
        }
    }
}

/// The sentence with the times of the next window.
fn waits(next: &Window, language: Language) -> String {
    let (month, first, last) = (next.month, FIRST_DAY, LAST_DAY);
    match language {
        Language::Chinese => {
            format!(
                "现在不能提现，下次提现时间为 {month}-{first:02} 00:00 至 {month}-{last:02} 24:00（北京时间）"
            )
        }
        Language::English => format!(
            "Income cannot be withdrawn now; the next window is from {month}-{first:02} 00:00 to {month}-{last:02} 24:00, \
             Beijing time"
        ),
    }
}

/// A sentence with the amount that one request takes back.
fn takes_back(sentence: &str, fen: Fen, language: Language) -> String {
    let yuan = fen.to_yuan();
    match language {
        Language::Chinese => format!("{sentence}。目前一次最多可退 {yuan} 元"),
        Language::English => format!("{sentence}. One request takes back {yuan} yuan now"),
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

impl From<ledger::Error> for Error {
    fn from(error: ledger::Error) -> Self {
        match error {
            ledger::Error::Insufficient(ledger::Account::Wallet(_)) => ErrorCode::WalletInsufficient.into(),
            ledger::Error::Insufficient(ledger::Account::Income(_)) => ErrorCode::IncomeInsufficient.into(),
            ledger::Error::TooLarge(_) => ErrorCode::WalletLimit.into(),
            ledger::Error::Database(error) => error.into(),
            // Domains hold the state under which a transfer is possible.
            other => Self::internal(other),
        }
    }
}

impl From<media::StoreError> for Error {
    /// Domains map errors that callers can cause to codes of their own; others mean that bytes are missing.
    fn from(error: media::StoreError) -> Self {
        match error.outage() {
            Some(_) => Self::store_away(error),
            None => Self::internal(error),
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

/// In background work.
impl From<Error> for jobs::Failure {
    fn from(error: Error) -> Self {
        let inner = error.inner().unwrap_or(error.code().as_str()).to_owned();
        match error.is_outage() {
            true => Self::Outage(inner),
            false => Self::Fault(inner),
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
