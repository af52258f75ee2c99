//! Notices.

use std::collections::BTreeMap;

use payment::{Decided, Driver, Event, NOTICE_MAX_BYTES, Notice, NoticeError};
use proptest::prelude::*;
use tempfile::TempDir;
use url::form_urlencoded;

use super::stand_in::{APP_ID, SELLER_ID, driver};
use crate::keys::{self, MERCHANT, PLATFORM, PLATFORM_PUBLIC};

fn ours() -> (Driver, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let driver = driver(&folder, "https://openapi.alipay.com/gateway.do", PLATFORM_PUBLIC);
    (driver, folder)
}

pub(super) fn decide(driver: &Driver, body: &str) -> Result<Decided, NoticeError> {
    driver.notice(Notice {
        headers: &[],
        body: body.as_bytes(),
        now_ms: 0,
    })
}

/// A notice of a payment, with some fields changed; an empty value removes one.
pub(super) fn fields(changes: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut fields: BTreeMap<String, String> = [
        ("app_id", APP_ID),
        ("seller_id", SELLER_ID),
        ("notify_id", "2019081500222155624068450559358070"),
        ("notify_type", "trade_status_sync"),
        ("notify_time", "2026-12-01 10:34:57"),
        ("trade_status", "TRADE_SUCCESS"),
        ("out_trade_no", "T1"),
        ("trade_no", "2019081522001468450512505578"),
        ("total_amount", "88.88"),
        ("gmt_payment", "2026-12-01 10:34:56"),
        (
            "fund_bill_list",
            r#"[{"amount":"88.88","fundChannel":"ALIPAYACCOUNT"}]"#,
        ),
        ("subject", "充值 + 100%"),
        ("charset", "utf-8"),
    ]
    .iter()
    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
    .collect();
    for (name, value) in changes {
        fields.insert((*name).to_owned(), (*value).to_owned());
    }
    fields.retain(|_, value| !value.is_empty());
    fields
}

/// The form of fields, signed as Alipay does.
pub(super) fn signed(key: &str, fields: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    form.append_pair("sign", &keys::sign(key, &pairs.join("&")));
    form.append_pair("sign_type", "RSA2");
    form.finish()
}

fn event(driver: &Driver, changes: &[(&str, &str)]) -> Result<Event, NoticeError> {
    decide(driver, &signed(PLATFORM, &fields(changes))).map(|decided| decided.event)
}

/// The notice of alipay-sdk-nodejs-all, `test/alipay.test.ts`, which Alipay signed in 2019.
#[test]
fn the_published_notice_is_read() {
    const KEY: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAqObrdC7hrgAVM98tK0nv3hSQRGGKT4lBsQjHiGjeYZjOPIPHR5knm2jnnz/YGIXIofVHkA/tAlBAd5DrY7YpvI4tP5EONLtZKC2ghBMx7McI2wRD0xiqzxOQr1FuhZGJ8/AUokBzJrzY+aGX2xcOrxFYRlFilvVLTXg4LWjR1tdPkO6+i7wQZAIVMClPkwVRZEbaERRHlKqTzv2gGv5rDU8gRoe1LeaN+6BlbTqHWkQcNCUNrA8C6l17XAXGKDsm/9TFWwO8EPHHHCaQdjtV5/FdcWIt+L8SR1ss7EXTjYDFtxcKVv9rEoY1lX8T4mX+GbXfZHraG5NCF1+XioL5JwIDAQAB";
    const SIGN: &str = "QfTb8tqE1BMhS5qAnXtvsF3/jBkEvu9q9en0pdbBUDDjvKycZhQb7h8GDs4FKfi049PynaNuatxSgLb/nLWZpXyyh0LEWdK2S6Ri7nPwrVgOs08zugLO20vOQz44y3ti2Ncm8/wZts1Fr2gZ7pShnVX3d1B50hbsXnObT1r/U8ONNQjWXd0HIul4TG+Q3fm3svmSvFEy0WnzuhcyHPX5Gm4ELNctL6Qd5YniGJFNcc7kopHYtI/XD9YCKCH6Ct02rzUs9i11C9CsadtZn+WhxF26Dqt9sGEFajkJ8cxUTLi8+VCpLHsgPE8P0y095uQcDdK0YjCh4x7wVSov+lrmOQ==";
    let fields = [
        ("gmt_create", "2019-08-15 15:56:22"),
        ("charset", "utf-8"),
        ("seller_email", "z97-yuquerevenue@service.aliyun.com"),
        ("subject", "语雀空间 500人规模"),
        ("sign", SIGN),
        ("buyer_id", "2088102534368455"),
        ("invoice_amount", "0.10"),
        ("notify_id", "2019081500222155624068450559358070"),
        (
            "fund_bill_list",
            r#"[{"amount":"0.10","fundChannel":"ALIPAYACCOUNT"}]"#,
        ),
        ("notify_type", "trade_status_sync"),
        ("trade_status", "TRADE_SUCCESS"),
        ("receipt_amount", "0.10"),
        ("buyer_pay_amount", "0.10"),
        ("sign_type", "RSA2"),
        ("app_id", APP_ID),
        ("seller_id", SELLER_ID),
        ("gmt_payment", "2019-08-15 15:56:24"),
        ("notify_time", "2019-08-15 15:56:25"),
        ("version", "1.0"),
        ("out_trade_no", "20190815155618536-564-57"),
        ("total_amount", "0.10"),
        ("trade_no", "2019081522001468450512505578"),
        ("auth_app_id", APP_ID),
        ("buyer_logon_id", "xud***@126.com"),
        ("point_amount", "0.00"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let driver = driver(&folder, "https://openapi.alipay.com/gateway.do", KEY);
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    let decided = decide(&driver, &form).unwrap();
    assert_eq!(decided.notice_id, "2019081500222155624068450559358070");
    let Event::Paid(payment) = decided.event else {
        panic!("{decided:?}");
    };
    assert_eq!((payment.amount_fen, payment.paid_ms), (10, 1_565_855_784_000));
    assert_eq!(payment.out_trade_no, "20190815155618536-564-57");
    let changed = form.replace("total_amount=0.10", "total_amount=0.11");
    assert_eq!(decide(&driver, &changed), Err(NoticeError::Signature));
}

#[test]
fn what_is_not_for_us_or_not_true_is_refused() {
    let (driver, _folder) = ours();
    let good = signed(PLATFORM, &fields(&[]));
    assert!(decide(&driver, &good).is_ok());
    for body in [
        signed(MERCHANT, &fields(&[])),
        good.replace("T1", "T2"),
        good.replace("sign_type=RSA2", "sign_type=RSA"),
        good.replace("&sign_type=RSA2", ""),
        good.replace("&sign=", "&sing="),
        format!("{good}&more=1"),
        String::new(),
    ] {
        assert_eq!(decide(&driver, &body), Err(NoticeError::Signature), "{body}");
    }
    let doubled = format!("{good}&total_amount=0.01");
    assert_eq!(decide(&driver, &doubled), Err(NoticeError::Malformed("its form")));
    assert_eq!(
        event(&driver, &[("app_id", "2019073166072303")]),
        Err(NoticeError::Foreign("app"))
    );
    assert_eq!(
        event(&driver, &[("seller_id", "2088531891668730")]),
        Err(NoticeError::Foreign("merchant"))
    );
}

/// A signed text that is that of other fields, too: the refund hides in the value before it.
#[test]
fn a_field_within_a_field_is_refused() {
    let (driver, _folder) = ours();
    let refund = fields(&[("refund_fee", "88.88")]);
    assert_eq!(event(&driver, &[("refund_fee", "88.88")]), Ok(Event::Other));
    let mut hidden = refund.clone();
    let (fee, notify) = (
        hidden.remove("refund_fee").unwrap(),
        hidden.remove("out_trade_no").unwrap(),
    );
    hidden.insert("out_trade_no".to_owned(), format!("{notify}&refund_fee={fee}"));
    let form = signed(PLATFORM, &hidden);
    let sign = signed(PLATFORM, &refund);
    let of = |form: &str| form.split("&sign=").nth(1).unwrap().to_owned();
    assert_eq!(of(&form), of(&sign));
    assert_eq!(decide(&driver, &form), Err(NoticeError::Malformed("its form")));
}

#[test]
fn states_become_events() {
    let (driver, _folder) = ours();
    for status in ["TRADE_SUCCESS", "TRADE_FINISHED"] {
        let Ok(Event::Paid(payment)) = event(&driver, &[("trade_status", status)]) else {
            panic!("{status}");
        };
        assert_eq!((payment.amount_fen, payment.paid_ms), (8888, 1_796_092_496_000));
    }
    let closed = Event::Closed {
        out_trade_no: "T1".to_owned(),
    };
    assert_eq!(event(&driver, &[("trade_status", "TRADE_CLOSED")]), Ok(closed));
    for changes in [
        &[("trade_status", "WAIT_BUYER_PAY")][..],
        &[("notify_type", "open_app_auth_notify")],
        &[("refund_fee", "0.10"), ("out_biz_no", "R1")],
        &[("refund_fee", "88.88"), ("trade_status", "TRADE_CLOSED")],
    ] {
        assert_eq!(event(&driver, changes), Ok(Event::Other), "{changes:?}");
    }
    for field in [
        "app_id",
        "seller_id",
        "notify_id",
        "trade_status",
        "out_trade_no",
        "trade_no",
        "total_amount",
        "gmt_payment",
    ] {
        let refused = event(&driver, &[(field, "")]);
        assert_eq!(
            refused,
            Err(NoticeError::Malformed("a field is missing")),
            "{field}"
        );
    }
    for amount in [
        "88.888",
        "-88.88",
        "8e3",
        "99999999999999999999",
        "88,88",
        "０.01",
    ] {
        let refused = event(&driver, &[("total_amount", amount)]);
        assert_eq!(
            refused,
            Err(NoticeError::Malformed("its amount or time")),
            "{amount}"
        );
    }
}

#[test]
fn a_notice_of_a_megabyte_is_refused_before_it_is_read() {
    let (driver, _folder) = ours();
    for length in [NOTICE_MAX_BYTES, 1024 * 1024] {
        let long = signed(PLATFORM, &fields(&[("body", &"x".repeat(length))]));
        assert_eq!(decide(&driver, &long), Err(NoticeError::Malformed("too long")));
    }
}

#[test]
fn the_vendor_hears_what_it_wants() {
    let (driver, _folder) = ours();
    for (ok, body) in [(true, "success"), (false, "fail")] {
        let reply = driver.reply(ok);
        assert_eq!((reply.status, reply.body), (200, body));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// No notice panics, not even a malformed one with a valid signature.
    #[test]
    fn any_notice_is_decided(
        body in proptest::collection::vec(any::<u8>(), 0..300),
        pairs in proptest::collection::btree_map("(app_id|seller_id|notify_(id|type)|trade_(no|status)|total_amount|[a-z]{1,3})", ".{0,20}", 0..10),
    ) {
        let (driver, _folder) = ours();
        let decided = driver.notice(Notice { headers: &[], body: &body, now_ms: 0 });
        prop_assert!(decided.is_err());
        let mut fields = fields(&[]);
        fields.extend(pairs);
        let _ = decide(&driver, &signed(PLATFORM, &fields));
    }
}
