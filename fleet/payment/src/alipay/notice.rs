//! Notices of Alipay: forms, signed without `sign` and `sign_type`.
//!
//! They carry no time that a repetition would change, so that an old one is no replay: the caller knows its id, and an
//! order is paid once.

use ledger::Fen;

use super::{Alipay, keys::CERTIFICATE, params::Params};
use crate::{Decided, Event, NOTICE_MAX_BYTES, Notice, NoticeError, Payment, wire::parse_local};

impl Alipay {
    pub(crate) fn notice(&self, notice: Notice<'_>) -> Result<Decided, NoticeError> {
        if notice.body.len() > NOTICE_MAX_BYTES {
            return Err(NoticeError::Malformed("too long"));
        }
        let mut params = Params::parse(notice.body).ok_or(NoticeError::Malformed("its form"))?;
        let signature = params.remove("sign").ok_or(NoticeError::Signature)?;
        if params.remove("sign_type").as_deref() != Some("RSA2") {
            return Err(NoticeError::Signature);
        }
        let sn = params.get(CERTIFICATE).map(str::to_owned);
        let key = self.keys.find(sn.as_deref(), notice.now_ms);
        let key = key.ok_or(NoticeError::UnknownSerial)?;
        let mut is_signed = key.verifies(params.joined().as_bytes(), &signature);
        // Alipay's documents leave open whether the number of the certificate is signed, too; it decides nothing else.
        if !is_signed && params.remove(CERTIFICATE).is_some() {
            is_signed = key.verifies(params.joined().as_bytes(), &signature);
        }
        if !is_signed {
            return Err(NoticeError::Signature);
        }
        let get = |name| {
            params
                .get(name)
                .ok_or(NoticeError::Malformed("a field is missing"))
        };
        if get("app_id")? != self.app_id {
            return Err(NoticeError::Foreign("app"));
        }
        if get("seller_id")? != self.seller_id {
            return Err(NoticeError::Foreign("merchant"));
        }
        let notice_id = get("notify_id")?.to_owned();
        Ok(Decided {
            notice_id,
            event: event(&params)?,
        })
    }
}

fn event(params: &Params) -> Result<Event, NoticeError> {
    let get = |name| {
        params
            .get(name)
            .ok_or(NoticeError::Malformed("a field is missing"))
    };
    // After a refund the same states come again, with sums over all refunds of the order: they decide nothing, the query of
    // the refund does.
    if get("notify_type")? != "trade_status_sync" || params.get("refund_fee").is_some() {
        return Ok(Event::Other);
    }
    let out_trade_no = get("out_trade_no")?.to_owned();
    match get("trade_status")? {
        "TRADE_SUCCESS" | "TRADE_FINISHED" => {
            let amount = Fen::from_yuan(get("total_amount")?);
            let paid_ms = parse_local(get("gmt_payment")?);
            let (Some(amount), Some(paid_ms)) = (amount, paid_ms) else {
                return Err(NoticeError::Malformed("its amount or time"));
            };
            Ok(Event::Paid(Payment {
                out_trade_no,
                transaction_id: get("trade_no")?.to_owned(),
                amount_fen: amount.get(),
                currency: "CNY".to_owned(),
                paid_ms,
            }))
        }
        "TRADE_CLOSED" => Ok(Event::Closed { out_trade_no }),
        _ => Ok(Event::Other),
    }
}
