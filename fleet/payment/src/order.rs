//! Orders, refunds and bills, as all providers know them.

use ledger::Fen;
use serde::{Deserialize, Serialize};

use crate::Payment;

/// Where the member pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scene {
    /// In an app, by the provider's SDK.
    App,
    /// In a mini-program, or a page within WeChat.
    Jsapi,
    /// By a code that another device scans.
    Native,
    /// In a browser on a phone.
    H5,
}

impl Scene {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::App, Self::Jsapi, Self::Native, Self::H5];

    /// The word of REST and of the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Jsapi => "jsapi",
            Self::Native => "native",
            Self::H5 => "h5",
        }
    }
}

/// An order that a provider is to make.
#[derive(Clone, Debug)]
pub struct NewOrder {
    /// Our number of the order, unique for the merchant: letters and digits, at most 32.
    pub out_trade_no: String,
    /// The amount to pay.
    pub amount: Fen,
    /// Where it is paid.
    pub scene: Scene,
    /// The text that the payer reads.
    pub description: String,
    /// The payer's id at the provider (openid), which [`Scene::Jsapi`] needs.
    pub payer: Option<String>,
    /// The payer's address, which [`Scene::H5`] of WeChat Pay needs.
    pub client_address: Option<String>,
    /// Until when it can be paid, epoch milliseconds.
    pub expires_ms: i64,
}

/// The values that an app hands to the provider's SDK, or opens.
#[derive(Clone, Debug, PartialEq)]
pub struct Ticket(pub serde_json::Value);

/// The state of an order at its provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderState {
    /// It can still be paid.
    Open,
    /// It was paid.
    Paid(Payment),
    /// It cannot be paid any more.
    Closed,
    /// The provider does not know it.
    Unknown,
}

/// A refund that a provider is to make.
#[derive(Clone, Debug)]
pub struct NewRefund {
    /// Our number of the refund, unique for the merchant: a repeated request refunds once.
    pub out_refund_no: String,
    /// Our number of the paid order.
    pub out_trade_no: String,
    /// The amount that goes back.
    pub amount: Fen,
    /// The amount of the whole order.
    pub total: Fen,
    /// Why.
    pub reason: String,
}

/// The state of a refund at its provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundState {
    /// It is on its way.
    Running,
    /// The money is back.
    Done,
    /// The provider refused for good, by its words.
    Failed(String),
    /// The provider does not know it.
    Unknown,
}

/// A paid order, or a refund, of a day's bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillRow {
    /// Our number of the order.
    pub out_trade_no: String,
    /// Our number of the refund, of a row that is one.
    pub out_refund_no: Option<String>,
    /// The amount.
    pub amount: Fen,
}

/// Why a provider could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No answer, or none of use: a repetition may succeed. Its text has no URL and no credential.
    #[error("the provider cannot be reached: {0}")]
    Away(String),
    /// The provider refused for good, by its words.
    #[error("the provider refused: {0}")]
    Refused(String),
}

impl Failure {
    /// The failure of a request whose answer cannot be verified, since the look for its key failed so.
    pub(crate) fn of_look(self) -> Self {
        match self {
            Self::Away(why) => Self::Away(why),
            Self::Refused(why) => Self::Away(format!("no key for its answer: {why}")),
        }
    }
}
