//! Refunds: made, and asked for.

use serde_json::json;

use super::{
    Wechat,
    answer::{Outcome, RefundAnswer, unreadable},
    request::Request,
};
use crate::{Failure, NewRefund, RefundState};

/// The longest reason of a refund, bytes.
const REASON_MAX_BYTES: usize = 80;

impl Wechat {
    pub(crate) async fn refund(&self, refund: NewRefund) -> Result<RefundState, Failure> {
        let mut body = json!({
            "out_trade_no": refund.out_trade_no,
            "out_refund_no": refund.out_refund_no,
            "notify_url": self.notify_url.as_str(),
            "amount": {
                "refund": refund.amount.get(),
                "total": refund.total.get(),
                "currency": "CNY",
            },
        });
        if let Some(partner) = &self.partner {
            body["sub_mchid"] = json!(partner.sub_mch_id);
        }
        let end = refund.reason.floor_char_boundary(REASON_MAX_BYTES);
        if end > 0 {
            body["reason"] = json!(refund.reason[..end]);
        }
        let outcome = self
            .call(Request::post("/v3/refund/domestic/refunds", body))
            .await?;
        state(
            outcome,
            &refund.out_refund_no,
            &refund.out_trade_no,
            Some(refund.amount.get()),
        )
    }

    pub(crate) async fn query_refund(
        &self,
        out_refund_no: &str,
        out_trade_no: &str,
    ) -> Result<RefundState, Failure> {
        let of = match &self.partner {
            None => String::new(),
            Some(partner) => format!("?sub_mchid={}", partner.sub_mch_id),
        };
        let path = format!("/v3/refund/domestic/refunds/{out_refund_no}{of}");
        match self.call(Request::get(&path)).await? {
            Outcome::Bad(_, refusal) if refusal.is_unknown() => Ok(RefundState::Unknown),
            outcome => state(outcome, out_refund_no, out_trade_no, None),
        }
    }
}

/// The state that an answer tells, about this very refund.
fn state(
    outcome: Outcome,
    out_refund_no: &str,
    out_trade_no: &str,
    amount_fen: Option<i64>,
) -> Result<RefundState, Failure> {
    match outcome {
        Outcome::Good(body) => {
            let answer: RefundAnswer = serde_json::from_slice(&body).map_err(|_| unreadable())?;
            let is_asked = answer.out_refund_no == out_refund_no && answer.out_trade_no == out_trade_no;
            if !is_asked || amount_fen.is_some_and(|fen| fen != answer.amount.refund) {
                return Err(Failure::Away("an answer about another refund".to_owned()));
            }
            answer.state().ok_or_else(unreadable)
        }
        Outcome::Bad(status, refusal) => Err(refusal.failure(status)),
    }
}
