//! Notices of WeChat Pay.

use serde::Deserialize;

use super::{
    Wechat,
    answer::{Named, RefundAmount, Transaction},
    sealed::Sealed,
    sign::Signed,
};
use crate::{Decided, Event, NOTICE_MAX_BYTES, Notice, NoticeError};

/// The outer part of a notice.
#[derive(Deserialize)]
struct Envelope {
    id: String,
    event_type: String,
    resource: Sealed,
}

/// The resource of a notice about a refund.
#[derive(Deserialize)]
struct Refund {
    #[serde(flatten)]
    named: Named,
    out_refund_no: String,
    refund_status: String,
    amount: RefundAmount,
}

impl Wechat {
    pub(crate) fn notice(&self, notice: Notice<'_>) -> Result<Decided, NoticeError> {
        if notice.body.len() > NOTICE_MAX_BYTES {
            return Err(NoticeError::Malformed("too long"));
        }
        Signed::read(|name| notice.header(name))?.verify(&self.keys, notice.body, notice.now_ms)?;
        let envelope: Envelope =
            serde_json::from_slice(notice.body).map_err(|_| NoticeError::Malformed("its body"))?;
        let plain = envelope.resource.open(&self.api_v3_key);
        let plain = plain.ok_or(NoticeError::Malformed("its resource cannot be opened"))?;
        let event = match envelope.event_type.as_str() {
            "TRANSACTION.SUCCESS" => self.paid(&plain)?,
            kind if kind.starts_with("REFUND.") => self.refunded(&plain)?,
            _ => Event::Other,
        };
        Ok(Decided {
            notice_id: envelope.id,
            event,
        })
    }

    fn paid(&self, plain: &[u8]) -> Result<Event, NoticeError> {
        let transaction: Transaction =
            serde_json::from_slice(plain).map_err(|_| NoticeError::Malformed("its transaction"))?;
        self.check(&transaction)?;
        if transaction.trade_state != "SUCCESS" {
            return Err(NoticeError::Malformed("its state of the trade"));
        }
        let payment = transaction.payment();
        payment
            .map(Event::Paid)
            .ok_or(NoticeError::Malformed("its transaction is not whole"))
    }

    fn refunded(&self, plain: &[u8]) -> Result<Event, NoticeError> {
        let refund: Refund =
            serde_json::from_slice(plain).map_err(|_| NoticeError::Malformed("its refund"))?;
        self.check_merchant(&refund.named)?;
        let Refund {
            out_refund_no,
            refund_status,
            amount,
            ..
        } = refund;
        Ok(match refund_status.as_str() {
            "SUCCESS" => Event::Refunded {
                out_refund_no,
                amount_fen: amount.refund,
            },
            "CLOSED" => Event::RefundFailed {
                out_refund_no,
                reason: "CLOSED".to_owned(),
            },
            // ABNORMAL: the payer's card is gone. The merchant still completes it by hand in WeChat Pay's console, so that the
            // money is not the member's again.
            _ => Event::Other,
        })
    }
}
