//! Notices of providers: what came in, its meaning, and the answer to it.

use serde::{Deserialize, Serialize};

/// The longest notice that is read. Those of WeChat Pay and Alipay have a few KiB.
pub const NOTICE_MAX_BYTES: usize = 64 * 1024;

/// A notice, as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Notice<'a> {
    /// Names in lower case, and values.
    pub headers: &'a [(String, String)],
    /// The bytes that are signed.
    pub body: &'a [u8],
    /// Epoch milliseconds.
    pub now_ms: i64,
}

impl<'a> Notice<'a> {
    /// The only value of a header; `None` where it is missing or repeated.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        let (_, value) = values.next()?;
        values.next().is_none().then_some(value.as_str())
    }
}

/// A notice that its provider signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The provider's id of the notice: a repetition has the same.
    pub notice_id: String,
    /// Its meaning.
    pub event: Event,
}

/// The meaning of a notice. The caller compares it with its own order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// An order was paid.
    Paid(Payment),
    /// An order cannot be paid any more.
    Closed {
        /// Our number of the order.
        out_trade_no: String,
    },
    /// A refund has arrived.
    Refunded {
        /// Our number of the refund.
        out_refund_no: String,
        /// Fen, as the provider says.
        amount_fen: i64,
    },
    /// A refund failed for good.
    RefundFailed {
        /// Our number of the refund.
        out_refund_no: String,
        /// Why, by the provider's words.
        reason: String,
    },
    /// Nothing that moves money.
    Other,
}

/// The payment of an order, as its provider says. Merchant and app were compared with the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Our number of the order.
    pub out_trade_no: String,
    /// The provider's number of the payment.
    pub transaction_id: String,
    /// Fen.
    pub amount_fen: i64,
    /// CNY, where all is well.
    pub currency: String,
    /// Epoch milliseconds, by the provider's clock.
    pub paid_ms: i64,
}

/// The answer that a provider wants to its notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Of HTTP.
    pub status: u16,
    /// The header; empty without a body.
    pub content_type: &'static str,
    /// The body.
    pub body: &'static str,
}

/// Why a notice is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoticeError {
    /// A signature is missing or wrong.
    #[error("the signature is wrong")]
    Signature,
    /// It was signed more than 5 minutes ago, or as long ahead.
    #[error("the notice is too old")]
    Stale,
    /// It was signed by a key that is not known here.
    #[error("the serial of the key is unknown")]
    UnknownSerial,
    /// It is not what the provider's documents say.
    #[error("the notice is malformed: {0}")]
    Malformed(&'static str),
    /// It is for another merchant or app.
    #[error("the notice is for another {0}")]
    Foreign(&'static str),
}
