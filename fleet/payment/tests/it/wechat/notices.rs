//! Notices.

use std::sync::atomic::Ordering;

use payment::{Decided, Driver, Event, NOTICE_MAX_BYTES, Notice, NoticeError, Reply};
use proptest::prelude::*;
use serde_json::json;

use super::stand_in::{API_V3_KEY, Books, MCH_ID, Mood, Signs, StandIn, driver};
use crate::{keys, server::now_ms};

/// A notice of these books about a content.
pub(super) fn notice(books: &Books, event_type: &str, plain: &str) -> (Vec<(String, String)>, String) {
    let body = json!({
        "id": "EV-2018022511223320873",
        "create_time": "2026-12-01T10:34:56+08:00",
        "resource_type": "encrypt-resource",
        "event_type": event_type,
        "summary": "支付成功",
        "resource": {
            "original_type": "transaction",
            "algorithm": "AEAD_AES_256_GCM",
            "ciphertext": keys::seal(API_V3_KEY, "fdasflkja484", "transaction", plain),
            "associated_data": "transaction",
            "nonce": "fdasflkja484",
        },
    })
    .to_string();
    (headers(books, &body), body)
}

fn headers(books: &Books, body: &str) -> Vec<(String, String)> {
    let headers = books.headers(body, now_ms()).into_iter();
    headers.map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(super) fn decide(
    driver: &Driver,
    (headers, body): &(Vec<(String, String)>, String),
) -> Result<Decided, NoticeError> {
    driver.notice(Notice {
        headers,
        body: body.as_bytes(),
        now_ms: now_ms(),
    })
}

fn paid(mood: Mood) -> (Vec<(String, String)>, String) {
    let books = Books {
        mood,
        signs: Signs::PublicKey,
        ..Books::default()
    };
    notice(
        &books,
        "TRANSACTION.SUCCESS",
        &books.transaction("T1", 8888, "SUCCESS"),
    )
}

#[tokio::test]
async fn a_payment_is_read() {
    let vendor = StandIn::by_public_key("").await;
    let decided = decide(&vendor.driver, &paid(Mood::Honest)).unwrap();
    assert_eq!(decided.notice_id, "EV-2018022511223320873");
    let Event::Paid(payment) = decided.event else {
        panic!("{decided:?}");
    };
    assert_eq!((payment.out_trade_no.as_str(), payment.amount_fen), ("T1", 8888));
    assert_eq!(payment.currency, "CNY");
    // A repetition is decided in the same way: the caller knows its id.
    let (first, again) = (paid(Mood::Honest), paid(Mood::Honest));
    assert_eq!(decide(&vendor.driver, &first), decide(&vendor.driver, &again));
}

#[tokio::test]
async fn what_is_not_for_us_or_not_true_is_refused() {
    let vendor = StandIn::by_public_key("").await;
    for (mood, expected) in [
        (Mood::WrongSignature, NoticeError::Signature),
        (Mood::UnknownSerial, NoticeError::UnknownSerial),
        (Mood::OldTime, NoticeError::Stale),
        (Mood::FutureTime, NoticeError::Stale),
        (Mood::OtherMerchant, NoticeError::Foreign("merchant")),
        (Mood::OtherApp, NoticeError::Foreign("app")),
        (Mood::DoubledKeys, NoticeError::Malformed("its transaction")),
        (Mood::NotJson, NoticeError::Malformed("its transaction")),
    ] {
        assert_eq!(decide(&vendor.driver, &paid(mood)), Err(expected), "{mood:?}");
    }
}

#[tokio::test]
async fn a_changed_notice_is_refused() {
    let vendor = StandIn::by_public_key("").await;
    let (headers, body) = paid(Mood::Honest);
    for index in 0..headers.len() {
        let mut fewer = headers.clone();
        let removed = fewer.remove(index);
        let notice = (fewer.clone(), body.clone());
        assert_eq!(
            decide(&vendor.driver, &notice),
            Err(NoticeError::Signature),
            "{removed:?}"
        );
        let mut doubled = headers.clone();
        doubled.push(removed.clone());
        let notice = (doubled, body.clone());
        assert_eq!(
            decide(&vendor.driver, &notice),
            Err(NoticeError::Signature),
            "{removed:?}"
        );
        let mut other = fewer;
        other.push((removed.0.clone(), format!("{}0", removed.1)));
        assert!(
            decide(&vendor.driver, &(other, body.clone())).is_err(),
            "{removed:?}"
        );
    }
    for changed in [
        format!("{body} "),
        body.replace("EV-", "EW-"),
        body.replacen('{', "{\"id\":\"other\",", 1),
        String::new(),
    ] {
        let notice = (headers.clone(), changed);
        assert_eq!(decide(&vendor.driver, &notice), Err(NoticeError::Signature));
    }
}

#[tokio::test]
async fn a_signed_notice_that_is_not_as_documented_is_refused() {
    let vendor = StandIn::by_public_key("").await;
    let books = Books {
        signs: Signs::PublicKey,
        ..Books::default()
    };
    let (_, body) = paid(Mood::Honest);
    for changed in [
        body.replacen('{', "{\"id\":\"other\",", 1),
        body.replace("fdasflkja484", "fdasflkja485"),
        body.replace("AEAD_AES_256_GCM", "AEAD_SM4_GCM"),
        body.replace("event_type", "kind"),
        "<xml><!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><id>&e;</id></xml>".to_owned(),
        format!("{}{}", "[".repeat(5000), "]".repeat(5000)),
    ] {
        let notice = (headers(&books, &changed), changed);
        let refused = decide(&vendor.driver, &notice);
        assert!(matches!(refused, Err(NoticeError::Malformed(_))), "{refused:?}");
    }
    let whole = books.transaction("T1", 8888, "SUCCESS");
    for changed in [
        whole.replace("SUCCESS", "NOTPAY"),
        whole.replace("8888", "88.88"),
        whole.replace("8888", "\"8888\""),
        whole.replace("8888", "18446744073709551616"),
        whole.replace("\"CNY\"", "null"),
        whole.replace("1217752501201407033233368018", ""),
        whole.replace("2026-12-01T10:34:56+08:00", "yesterday"),
    ] {
        assert_ne!(changed, whole);
        let refused = decide(&vendor.driver, &notice(&books, "TRANSACTION.SUCCESS", &changed));
        assert!(
            matches!(refused, Err(NoticeError::Malformed(_))),
            "{changed}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn a_notice_of_a_megabyte_is_refused_before_it_is_read() {
    let vendor = StandIn::by_public_key("").await;
    let books = Books {
        signs: Signs::PublicKey,
        ..Books::default()
    };
    for length in [NOTICE_MAX_BYTES + 1, 1024 * 1024] {
        let body = " ".repeat(length);
        let notice = (headers(&books, &body), body);
        assert_eq!(
            decide(&vendor.driver, &notice),
            Err(NoticeError::Malformed("too long"))
        );
    }
}

#[tokio::test]
async fn refunds_and_other_events_are_told_apart() {
    let vendor = StandIn::by_public_key("").await;
    let books = Books {
        signs: Signs::PublicKey,
        ..Books::default()
    };
    let refund = |mch_id: &str, status: &str| {
        json!({
            "mchid": mch_id,
            "out_trade_no": "T1",
            "transaction_id": "42",
            "out_refund_no": "R1",
            "refund_id": "50",
            "refund_status": status,
            "amount": { "total": 8888, "refund": 88, "payer_total": 8888, "payer_refund": 88 },
        })
        .to_string()
    };
    for (event_type, plain, expected) in [
        (
            "REFUND.SUCCESS",
            refund(MCH_ID, "SUCCESS"),
            Ok(Event::Refunded {
                out_refund_no: "R1".into(),
                amount_fen: 88,
            }),
        ),
        (
            "REFUND.CLOSED",
            refund(MCH_ID, "CLOSED"),
            Ok(Event::RefundFailed {
                out_refund_no: "R1".into(),
                reason: "CLOSED".into(),
            }),
        ),
        ("REFUND.ABNORMAL", refund(MCH_ID, "ABNORMAL"), Ok(Event::Other)),
        (
            "REFUND.SUCCESS",
            refund("1", "SUCCESS"),
            Err(NoticeError::Foreign("merchant")),
        ),
        (
            "REFUND.SUCCESS",
            "{}".into(),
            Err(NoticeError::Malformed("its refund")),
        ),
        ("PAYSCORE.USER_OPEN_SERVICE", "{}".into(), Ok(Event::Other)),
    ] {
        let decided = decide(&vendor.driver, &notice(&books, event_type, &plain));
        assert_eq!(
            decided.map(|decided| decided.event),
            expected,
            "{event_type} {plain}"
        );
    }
}

#[tokio::test]
async fn a_notice_by_an_unknown_certificate_makes_the_driver_look_once() {
    let vendor = StandIn::start().await;
    let books = Books::default();
    let (headers, body) = notice(
        &books,
        "TRANSACTION.SUCCESS",
        &books.transaction("T1", 1, "SUCCESS"),
    );
    let whole = Notice {
        headers: &headers,
        body: body.as_bytes(),
        now_ms: now_ms(),
    };
    assert_eq!(vendor.driver.notice(whole), Err(NoticeError::UnknownSerial));
    assert!(vendor.driver.receive(whole).await.is_ok());
    assert!(vendor.driver.notice(whole).is_ok());
    let forged: Vec<_> = headers
        .iter()
        .map(|(name, value)| {
            (
                name.clone(),
                if name.ends_with("serial") {
                    "FF".into()
                } else {
                    value.clone()
                },
            )
        })
        .collect();
    for _ in 0..5 {
        let forged = Notice {
            headers: &forged,
            ..whole
        };
        assert_eq!(
            vendor.driver.receive(forged).await,
            Err(NoticeError::UnknownSerial)
        );
    }
    assert_eq!(vendor.looks.load(Ordering::Relaxed), 1);
}

#[test]
fn the_vendor_hears_what_it_wants() {
    let folder = tempfile::tempdir().unwrap();
    let driver = driver(&folder, "https://api.mch.weixin.qq.com", "");
    let Reply { status, body, .. } = driver.reply(true);
    assert_eq!((status, body), (204, ""));
    let Reply { status, body, .. } = driver.reply(false);
    assert_eq!(status, 500);
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["code"], "FAIL");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// No notice panics, not even a malformed one with a valid signature.
    #[test]
    fn any_notice_is_decided(
        body in prop_oneof![".{0,200}", r#"\{"(id|event_type|resource)":("x"|\{"nonce":"[a-z]{0,14}"\})\}"#],
        names in proptest::collection::vec("(wechatpay-(serial|nonce|timestamp|signature)|x)", 0..6),
        values in proptest::collection::vec(".{0,40}|-?[0-9]{0,25}", 6),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let public = format!("[public_key]\nid = \"{}\"\nfile = \"platform.pub\"\n", super::stand_in::PUBLIC_KEY_ID);
        let driver = driver(&folder, "http://127.0.0.1:1", &public);
        let random: Vec<_> = names.into_iter().zip(values).collect();
        prop_assert!(decide(&driver, &(random, body.clone())).is_err());
        let books = Books { signs: Signs::PublicKey, ..Books::default() };
        let _ = decide(&driver, &(headers(&books, &body), body.clone()));
        let _ = decide(&driver, &notice(&books, "TRANSACTION.SUCCESS", &body));
    }
}
