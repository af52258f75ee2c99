//! The answers of WeChat Pay.

use serde::Deserialize;

use super::Wechat;
use crate::{
    Failure, NoticeError, OrderState, Payment, RefundState,
    wire::{Answer, parse_offset, words},
};

/// Refusals behind which nothing is decided: a repetition may succeed.
const PASSING: [&str; 8] = [
    "SYSTEM_ERROR",
    "BANKERROR",
    "FREQUENCY_LIMITED",
    "FREQUENCY_LIMIT_EXCEED",
    "RATELIMIT_EXCEEDED",
    "NOT_ENOUGH",
    "STATEMENT_CREATING",
    "BILL_CREATING",
];

/// An order, in an answer and in a notice.
#[derive(Debug, Deserialize)]
pub(super) struct Transaction {
    #[serde(flatten)]
    named: Named,
    pub(super) out_trade_no: String,
    pub(super) trade_state: String,
    transaction_id: Option<String>,
    success_time: Option<String>,
    amount: Option<TransactionAmount>,
}

/// The merchant and the app that an answer or a notice names: in partner mode those of both sides.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    appid: Option<String>,
    mchid: Option<String>,
    sp_appid: Option<String>,
    sp_mchid: Option<String>,
    sub_appid: Option<String>,
    sub_mchid: Option<String>,
}

#[derive(Debug, Deserialize)]
struct TransactionAmount {
    total: Option<i64>,
    currency: Option<String>,
}

impl Transaction {
    /// The payment of a paid order; `None` where a part of it is missing.
    pub(super) fn payment(self) -> Option<Payment> {
        let amount = self.amount?;
        Some(Payment {
            out_trade_no: self.out_trade_no,
            transaction_id: self.transaction_id.filter(|id| !id.is_empty())?,
            amount_fen: amount.total?,
            currency: amount.currency?,
            paid_ms: parse_offset(&self.success_time?)?,
        })
    }

    /// The state of the order that was asked for.
    pub(super) fn state(self) -> Option<OrderState> {
        match self.trade_state.as_str() {
            // One that was refunded was paid before.
            "SUCCESS" | "REFUND" => self.payment().map(OrderState::Paid),
            "NOTPAY" | "USERPAYING" | "PAYERROR" => Some(OrderState::Open),
            "CLOSED" | "REVOKED" => Some(OrderState::Closed),
            _ => None,
        }
    }
}

/// A refund.
#[derive(Debug, Deserialize)]
pub(super) struct RefundAnswer {
    pub(super) out_refund_no: String,
    pub(super) out_trade_no: String,
    status: String,
    pub(super) amount: RefundAmount,
}

#[derive(Debug, Deserialize)]
pub(super) struct RefundAmount {
    pub(super) refund: i64,
}

impl RefundAnswer {
    pub(super) fn state(&self) -> Option<RefundState> {
        match self.status.as_str() {
            "SUCCESS" => Some(RefundState::Done),
            "CLOSED" => Some(RefundState::Failed("CLOSED".to_owned())),
            // See the notice of an abnormal refund.
            "PROCESSING" | "ABNORMAL" => Some(RefundState::Running),
            _ => None,
        }
    }
}

/// A refusal.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    pub(super) code: String,
    #[serde(default)]
    message: String,
}

impl Refusal {
    /// Whether the order or the refund is not known.
    pub(super) fn is_unknown(&self) -> bool {
        ["ORDER_NOT_EXIST", "ORDERNOTEXIST", "RESOURCE_NOT_EXISTS"].contains(&self.code.as_str())
    }

    /// As an error, by its status.
    pub(super) fn failure(&self, status: u16) -> Failure {
        let text = words(&self.code, &self.message);
        // 401 and 403 are about our keys and contracts, which an operator mends; the order and the refund are untouched.
        let is_passing = PASSING.contains(&self.code.as_str())
            || matches!(status, 401 | 429 | 500..)
            || (status == 403 && self.code != "USER_ACCOUNT_ABNORMAL");
        if is_passing {
            Failure::Away(text)
        } else {
            Failure::Refused(text)
        }
    }
}

/// An answer that was verified, or a refusal.
pub(super) enum Outcome {
    /// 2xx.
    Good(Vec<u8>),
    /// Its status, and its words.
    Bad(u16, Refusal),
}

impl Outcome {
    /// # Errors
    /// An answer that is no refusal of WeChat Pay.
    pub(super) fn of(answer: Answer) -> Result<Self, Failure> {
        if (200..300).contains(&answer.status) {
            return Ok(Self::Good(answer.body));
        }
        let refusal = serde_json::from_slice(&answer.body);
        refusal
            .map(|refusal| Self::Bad(answer.status, refusal))
            .map_err(|_| Failure::Away(format!("status {}", answer.status)))
    }
}

impl Wechat {
    /// Compares merchant and app with the settings.
    pub(super) fn check(&self, transaction: &Transaction) -> Result<(), NoticeError> {
        let named = &transaction.named;
        self.check_merchant(named)?;
        let app_id = match &self.partner {
            None => named.appid.as_deref(),
            Some(partner) if named.sp_appid.as_ref() == Some(&partner.sp_app_id) => {
                let sub_app_id = named.sub_appid.as_deref().filter(|id| !id.is_empty());
                sub_app_id.or(Some(partner.sp_app_id.as_str()))
            }
            Some(_) => None,
        };
        if app_id.is_some_and(|app_id| self.app_ids.has(app_id)) {
            Ok(())
        } else {
            Err(NoticeError::Foreign("app"))
        }
    }

    /// Compares the merchant: of a partner both, and in direct mode no partner's order counts.
    pub(super) fn check_merchant(&self, named: &Named) -> Result<(), NoticeError> {
        let expected = match &self.partner {
            None => [Some(&self.signer.mch_id), None, None],
            Some(partner) => [None, Some(&self.signer.mch_id), Some(&partner.sub_mch_id)],
        };
        let found = [&named.mchid, &named.sp_mchid, &named.sub_mchid];
        if found.map(Option::as_ref) == expected {
            Ok(())
        } else {
            Err(NoticeError::Foreign("merchant"))
        }
    }
}

/// The failure of an answer that is not what the documents say.
pub(super) fn unreadable() -> Failure {
    Failure::Away("an answer that cannot be read".to_owned())
}
