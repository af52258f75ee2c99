//! The vendor's keys change.

use std::sync::atomic::Ordering;

use payment::{Failure, Notice, NoticeError, OrderState};

use super::stand_in::{Books, Mood, Signs, StandIn};
use crate::server::now_ms;

#[tokio::test]
async fn certificates_are_fetched_once_and_again_when_they_change() {
    let vendor = StandIn::start().await;
    let looks = || vendor.looks.load(Ordering::Relaxed);
    for _ in 0..3 {
        assert_eq!(vendor.driver.query("T1").await, Ok(OrderState::Unknown));
    }
    vendor.books.lock().orders.insert("T1".to_owned(), (1, "NOTPAY"));
    assert_eq!(vendor.driver.query("T1").await, Ok(OrderState::Open));
    assert_eq!(looks(), 1);
    // A serial that is not known is no reason to look more than once a minute.
    vendor.books.lock().signs = Signs::Rotated;
    for _ in 0..3 {
        assert!(matches!(vendor.driver.query("T1").await, Err(Failure::Away(_))));
    }
    assert_eq!(looks(), 1);
}

#[tokio::test]
async fn a_vendor_that_signs_by_a_new_certificate_is_believed() {
    let vendor = StandIn::start().await;
    vendor.books.lock().signs = Signs::Rotated;
    vendor.books.lock().orders.insert("T1".to_owned(), (1, "NOTPAY"));
    assert_eq!(vendor.driver.query("T1").await, Ok(OrderState::Open));
}

#[tokio::test]
async fn certificates_that_another_sealed_or_signed_are_refused() {
    for mood in [
        Mood::SealedByAnother,
        Mood::WrongSignature,
        Mood::Unsigned,
        Mood::OldTime,
    ] {
        let vendor = StandIn::start().await;
        vendor.books.lock().orders.insert("T1".to_owned(), (1, "NOTPAY"));
        vendor.mood(mood);
        assert!(
            matches!(vendor.driver.query("T1").await, Err(Failure::Away(_))),
            "{mood:?}"
        );
        vendor.mood(Mood::Honest);
        // Nothing of the lie was kept.
        let headers: Vec<_> = Books::default()
            .headers("{}", now_ms())
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let notice = Notice {
            headers: &headers,
            body: b"{}",
            now_ms: now_ms(),
        };
        assert_eq!(
            vendor.driver.notice(notice),
            Err(NoticeError::UnknownSerial),
            "{mood:?}"
        );
        assert_eq!(vendor.driver.query("T1").await, Ok(OrderState::Open), "{mood:?}");
    }
}

#[tokio::test]
async fn both_kinds_of_keys_serve_during_the_change_to_a_public_key() {
    let between = StandIn::by_public_key("platform_certificates = true").await;
    between.books.lock().orders.insert("T1".to_owned(), (1, "NOTPAY"));
    for signs in [Signs::PublicKey, Signs::Certificate] {
        between.books.lock().signs = signs;
        assert_eq!(
            between.driver.query("T1").await,
            Ok(OrderState::Open),
            "{signs:?}"
        );
    }
    let after = StandIn::by_public_key("").await;
    after.books.lock().orders.insert("T1".to_owned(), (1, "NOTPAY"));
    assert_eq!(after.driver.query("T1").await, Ok(OrderState::Open));
    after.books.lock().signs = Signs::Certificate;
    assert!(matches!(after.driver.query("T1").await, Err(Failure::Away(_))));
    assert_eq!(after.looks.load(Ordering::Relaxed), 0);
}
