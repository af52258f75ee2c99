//! The tricks of its page with an order.

use std::time::Duration;

use ledger::Fen;
use ring::hmac;

use super::{BookOrder, notice};
use crate::{Decided, Event};

/// A button of its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trick {
    /// Pays; the notice comes at once.
    Pay,
    /// The payer refuses.
    Refuse,
    /// Pays, also an order that the merchant has closed; the notice comes after ten seconds.
    Late,
    /// Pays; the notice comes twice.
    Twice,
    /// Pays; a notice that the order has failed follows the one that it was paid.
    OutOfOrder,
    /// Pays; no notice comes.
    Never,
    /// Pays another amount than asked for.
    WrongAmount,
    /// Pays; the page answers seconds after the notice.
    Slow,
}

impl Trick {
    /// All of them, in the order of the page.
    pub const ALL: [Self; 8] = [
        Self::Pay,
        Self::Refuse,
        Self::Late,
        Self::Twice,
        Self::OutOfOrder,
        Self::Never,
        Self::WrongAmount,
        Self::Slow,
    ];

    /// The word of its path.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pay => "pay",
            Self::Refuse => "refuse",
            Self::Late => "late",
            Self::Twice => "twice",
            Self::OutOfOrder => "out_of_order",
            Self::Never => "never",
            Self::WrongAmount => "wrong_amount",
            Self::Slow => "slow",
        }
    }

    /// Of a word; `None` when it is unknown.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|trick| trick.as_str() == word)
    }

    /// How long the page waits with its answer.
    pub const fn pause(self) -> Duration {
        match self {
            Self::Slow => Duration::from_secs(5),
            _ => Duration::ZERO,
        }
    }

    /// The part of an amount that is paid, fen.
    pub(super) fn paid_fen(self, amount: Fen) -> i64 {
        match self {
            Self::WrongAmount if amount == Fen::MAX => amount.get() - 1,
            Self::WrongAmount => amount.get() + 1,
            _ => amount.get(),
        }
    }

    /// The notices that follow. Those of an order that was paid before are repetitions: they have the same id.
    pub(super) fn deliveries(self, key: &hmac::Key, order: &BookOrder, now_ms: i64) -> Vec<Delivery> {
        let number = &order.out_trade_no;
        let delivery = |(id, event): (&str, Event), after: Duration| {
            let decided = Decided {
                notice_id: format!("{number}-{id}"),
                event,
            };
            let later_ms = i64::try_from(after.as_millis()).unwrap_or_default();
            let (headers, body) = notice::write(key, decided, now_ms + later_ms);
            Delivery { after, headers, body }
        };
        let closed = || {
            let out_trade_no = number.clone();
            ("closed", Event::Closed { out_trade_no })
        };
        let Some(payment) = order.payment() else {
            return vec![delivery(closed(), Duration::ZERO)];
        };
        let paid = |after: Duration| delivery(("paid", Event::Paid(payment.clone())), after);
        match self {
            Self::Never => Vec::new(),
            Self::Late => vec![paid(Duration::from_secs(10))],
            Self::Twice => vec![paid(Duration::ZERO), paid(Duration::ZERO)],
            Self::OutOfOrder => vec![paid(Duration::ZERO), delivery(closed(), Duration::ZERO)],
            Self::Pay | Self::Refuse | Self::WrongAmount | Self::Slow => vec![paid(Duration::ZERO)],
        }
    }
}

/// A notice on its way.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// When it arrives.
    pub after: Duration,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The bytes that are signed.
    pub body: Vec<u8>,
}
