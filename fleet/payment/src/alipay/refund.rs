//! Refunds: made, and asked for.

use ledger::Fen;
use serde::Deserialize;
use serde_json::json;

use super::{
    Alipay,
    answer::{Outcome, parse},
    order::same,
};
use crate::{Failure, NewRefund, RefundState};

/// The longest reason of a refund.
const REASON_MAX_CHARS: usize = 128;
/// The state of a refund that was not executed. Alipay does not say that this is its end: it asks for the same number again,
/// by which it refunds once.
const FAILED: &str = "REFUND_FAIL";

#[derive(Deserialize)]
struct Refunded {
    out_trade_no: String,
    /// Y when this request moved money, N when an earlier one did or nothing has yet.
    fund_change: String,
}

/// A refund, in an answer. All fields are absent where Alipay has none.
#[derive(Deserialize)]
struct Found {
    out_trade_no: Option<String>,
    out_request_no: Option<String>,
    refund_amount: Option<String>,
    refund_status: Option<String>,
}

impl Alipay {
    pub(crate) async fn refund(&self, refund: NewRefund) -> Result<RefundState, Failure> {
        let reason: String = refund.reason.chars().take(REASON_MAX_CHARS).collect();
        let content = json!({
            "out_trade_no": refund.out_trade_no,
            "refund_amount": refund.amount.to_yuan(),
            "out_request_no": refund.out_refund_no,
            "refund_reason": reason,
        });
        match self.call("alipay.trade.refund", &content, &[]).await? {
            Outcome::Good(node) => {
                let refunded: Refunded = parse(&node)?;
                same(&refunded.out_trade_no, &refund.out_trade_no)?;
                Ok(match refunded.fund_change.as_str() {
                    "Y" => RefundState::Done,
                    _ => RefundState::Running,
                })
            }
            Outcome::Bad(refusal) => Err(refusal.failure()),
        }
    }

    pub(crate) async fn query_refund(
        &self,
        out_refund_no: &str,
        out_trade_no: &str,
    ) -> Result<RefundState, Failure> {
        let content = json!({ "out_trade_no": out_trade_no, "out_request_no": out_refund_no });
        match self
            .call("alipay.trade.fastpay.refund.query", &content, &[])
            .await?
        {
            Outcome::Good(node) => {
                let found: Found = parse(&node)?;
                let (Some(order), Some(number)) = (&found.out_trade_no, &found.out_request_no) else {
                    return Ok(RefundState::Unknown);
                };
                same(order, out_trade_no)?;
                same(number, out_refund_no)?;
                let amount = found.refund_amount.as_deref().and_then(Fen::from_yuan);
                Ok(match (found.refund_status.as_deref(), amount) {
                    (Some("REFUND_SUCCESS"), Some(_)) => RefundState::Done,
                    (Some(FAILED), _) => RefundState::Unknown,
                    _ => RefundState::Running,
                })
            }
            Outcome::Bad(refusal)
                if ["ACQ.TRADE_NOT_EXIST", "TRADE_NOT_EXIST"].contains(&refusal.sub_code()) =>
            {
                Ok(RefundState::Unknown)
            }
            Outcome::Bad(refusal) => Err(refusal.failure()),
        }
    }
}
