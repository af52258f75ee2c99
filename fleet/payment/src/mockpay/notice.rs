//! Its notices: JSON, signed by an HMAC over time and body.

use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::{Decided, Event, Notice, NoticeError};

/// The header of the signature, hexadecimal.
pub(super) const SIGNATURE: &str = "mockpay-signature";
/// The header of the time of signing, epoch milliseconds.
pub(super) const TIME: &str = "mockpay-time";
/// The merchant of all orders.
const MERCHANT: &str = "huizhen";
/// The longest difference between the time of signing and now, either way.
const MAX_AGE_MS: i64 = 5 * 60 * 1000;

/// The body of a notice.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    notice_id: String,
    merchant: String,
    event: Event,
}

fn signed(time_ms: i64, body: &[u8]) -> Vec<u8> {
    [time_ms.to_string().as_bytes(), b"\n", body].concat()
}

/// Headers and body of a notice.
pub(super) fn write(key: &hmac::Key, decided: Decided, now_ms: i64) -> (Vec<(String, String)>, Vec<u8>) {
    let body = Body {
        notice_id: decided.notice_id,
        merchant: MERCHANT.into(),
        event: decided.event,
    };
    // Texts and numbers are always JSON.
    let body = serde_json::to_vec(&body).unwrap_or_default();
    let signature = hmac::sign(key, &signed(now_ms, &body));
    let headers = vec![
        (TIME.to_owned(), now_ms.to_string()),
        (SIGNATURE.to_owned(), hex::encode(signature)),
    ];
    (headers, body)
}

pub(super) fn decide(key: &hmac::Key, notice: Notice<'_>) -> Result<Decided, NoticeError> {
    let header = |name: &str| {
        let mut values = notice.headers.iter().filter(|(known, _)| known == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Ok(value),
            _ => Err(NoticeError::Signature),
        }
    };
    let time: i64 = header(TIME)?.parse().map_err(|_| NoticeError::Signature)?;
    let signature = hex::decode(header(SIGNATURE)?).map_err(|_| NoticeError::Signature)?;
    hmac::verify(key, &signed(time, notice.body), &signature).map_err(|_| NoticeError::Signature)?;
    if time.abs_diff(notice.now_ms) > MAX_AGE_MS.unsigned_abs() {
        return Err(NoticeError::Stale);
    }
    let body: Body = serde_json::from_slice(notice.body).map_err(|_| NoticeError::Malformed("the body"))?;
    if body.merchant != MERCHANT {
        return Err(NoticeError::Foreign("merchant"));
    }
    Ok(Decided {
        notice_id: body.notice_id,
        event: body.event,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Payment;

    const NOW_MS: i64 = 1_796_000_000_000;

    fn key() -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &[7; 32])
    }

    fn decided() -> Decided {
        Decided {
            notice_id: "n1".into(),
            event: Event::Paid(Payment {
                out_trade_no: "T1X5".into(),
                transaction_id: "mock".into(),
                amount_fen: 8888,
                currency: "CNY".into(),
                paid_ms: NOW_MS,
            }),
        }
    }

    fn read(headers: &[(String, String)], body: &[u8], now_ms: i64) -> Result<Decided, NoticeError> {
        decide(
            &key(),
            Notice {
                headers,
                body,
                now_ms,
            },
        )
    }

    #[test]
    fn a_notice_comes_back_as_it_went() {
        let (headers, body) = write(&key(), decided(), NOW_MS);
        for age_ms in [-MAX_AGE_MS, 0, MAX_AGE_MS] {
            assert_eq!(read(&headers, &body, NOW_MS + age_ms), Ok(decided()));
        }
        for age_ms in [-MAX_AGE_MS - 1, MAX_AGE_MS + 1, i64::MAX - NOW_MS] {
            assert_eq!(read(&headers, &body, NOW_MS + age_ms), Err(NoticeError::Stale));
        }
    }

    #[test]
    fn a_notice_with_any_byte_changed_is_refused() {
        let (headers, body) = write(&key(), decided(), NOW_MS);
        for at in 0..body.len() {
            let mut changed = body.clone();
            changed[at] ^= 1;
            assert_eq!(read(&headers, &changed, NOW_MS), Err(NoticeError::Signature));
        }
        let without = |name: &str| {
            let rest = headers.iter().filter(|(known, _)| known != name);
            rest.cloned().collect::<Vec<_>>()
        };
        let later = [(TIME.to_owned(), (NOW_MS + 1).to_string())];
        for headers in [
            vec![],
            without(TIME),
            without(SIGNATURE),
            [&headers[..], &headers[..]].concat(),
            [&without(TIME)[..], &later[..]].concat(),
        ] {
            assert_eq!(read(&headers, &body, NOW_MS), Err(NoticeError::Signature));
        }
    }

    #[test]
    fn a_signed_body_that_is_no_notice_is_refused() {
        let of = |body: &str| {
            let signature = hmac::sign(&key(), &signed(NOW_MS, body.as_bytes()));
            let headers = [
                (TIME.to_owned(), NOW_MS.to_string()),
                (SIGNATURE.to_owned(), hex::encode(signature)),
            ];
            read(&headers, body.as_bytes(), NOW_MS)
        };
        for body in [
            "",
            "null",
            "[]",
            r#"{"notice_id":"n","merchant":"huizhen","event":{"x":{}}}"#,
        ] {
            assert_eq!(of(body), Err(NoticeError::Malformed("the body")), "{body}");
        }
        let foreign = r#"{"notice_id":"n","merchant":"x","event":{"closed":{"out_trade_no":"T1X5"}}}"#;
        assert_eq!(of(foreign), Err(NoticeError::Foreign("merchant")));
    }
}
