//! Partner mode: both merchants stand in requests, answers, notices and bills.

use payment::{Day, Event, Failure, NoticeError, OrderState, RefundState, Scene};
use serde_json::json;

use super::{
    notices::{decide, notice},
    requests::{order, refund},
    stand_in::{APP_ID, Books, MCH_ID, Mood, SP_APP_ID, SUB_MCH_ID, Signs, StandIn},
};
use crate::{certificates::verifies, keys::MERCHANT};

#[tokio::test]
async fn orders_name_both_merchants_and_the_payer_of_the_app() {
    let vendor = StandIn::of_partner().await;
    for scene in [Scene::App, Scene::Jsapi, Scene::Native, Scene::H5] {
        let ticket = vendor.driver.create(order(scene)).await.unwrap().0;
        let body = vendor.books.lock().bodies.pop().unwrap();
        for (name, value) in [
            ("sp_appid", SP_APP_ID),
            ("sp_mchid", MCH_ID),
            ("sub_appid", APP_ID),
            ("sub_mchid", SUB_MCH_ID),
        ] {
            assert_eq!(body[name], value, "{scene:?}");
        }
        assert!(body.get("mchid").is_none() && body.get("appid").is_none());
        match scene {
            Scene::App => {
                assert_eq!(
                    (ticket["appid"].as_str(), ticket["partnerid"].as_str()),
                    (Some(APP_ID), Some(MCH_ID))
                );
                let text = |name: &str| ticket[name].as_str().unwrap();
                let signed = format!(
                    "{APP_ID}\n{}\n{}\n{}\n",
                    text("timestamp"),
                    text("noncestr"),
                    text("prepayid")
                );
                assert!(verifies(MERCHANT, &signed, text("sign")));
            }
            Scene::Jsapi => {
                let payer = json!({ "sub_openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o" });
                assert_eq!(body["payer"], payer);
            }
            Scene::Native | Scene::H5 => {}
        }
    }
}

/// Of the partner's own app no second one is named, and its payer is the partner's.
#[tokio::test]
async fn an_app_of_the_partner_is_named_once() {
    let vendor = StandIn::by_public_key(&format!(
        "partner = {{ sp_app_id = \"{APP_ID}\", sub_mch_id = \"{SUB_MCH_ID}\" }}"
    ))
    .await;
    vendor.books.lock().is_partner = true;
    vendor.driver.create(order(Scene::Jsapi)).await.unwrap();
    let body = vendor.books.lock().bodies.pop().unwrap();
    assert!(body.get("sub_appid").is_none());
    assert_eq!(
        body["payer"],
        json!({ "sp_openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o" })
    );
    let whole = books(Mood::Honest).transaction("T1", 8888, "SUCCESS");
    let own = whole.replace(SP_APP_ID, APP_ID);
    for text in [
        own.clone(),
        own.replace("sub_appid", "sub_appid_"),
        own.replace(&format!("\"sub_appid\":\"{APP_ID}\""), "\"sub_appid\":\"\""),
    ] {
        let sent = notice(&books(Mood::Honest), "TRANSACTION.SUCCESS", &text);
        assert!(decide(&vendor.driver, &sent).is_ok(), "{text}");
    }
}

#[tokio::test]
async fn orders_and_refunds_are_asked_for_as_the_partner() {
    let vendor = StandIn::of_partner().await;
    let driver = &vendor.driver;
    assert_eq!(driver.query("T1").await, Ok(OrderState::Unknown));
    assert_eq!(driver.probe().await, Ok(()));
    vendor.books.lock().orders.insert("T1".into(), (8888, "NOTPAY"));
    assert_eq!(driver.query("T1").await, Ok(OrderState::Open));
    assert_eq!(driver.close("T1").await, Ok(()));
    vendor.books.lock().orders.insert("T1".into(), (8888, "SUCCESS"));
    assert!(matches!(driver.query("T1").await, Ok(OrderState::Paid(_))));
    assert_eq!(driver.query_refund("R1", "T1").await, Ok(RefundState::Unknown));
    assert_eq!(driver.refund(refund("R1", 88)).await, Ok(RefundState::Running));
    assert_eq!(driver.query_refund("R1", "T1").await, Ok(RefundState::Running));
    for mood in [Mood::OtherMerchant, Mood::OtherApp] {
        vendor.mood(mood);
        let failure = driver.query("T1").await.unwrap_err();
        assert!(
            failure.to_string().contains("another order"),
            "{mood:?}: {failure}"
        );
    }
}

fn books(mood: Mood) -> Books {
    Books {
        mood,
        signs: Signs::PublicKey,
        is_partner: true,
        ..Books::default()
    }
}

#[tokio::test]
async fn notices_of_other_merchants_are_refused() {
    let vendor = StandIn::of_partner().await;
    let driver = &vendor.driver;
    let honest = books(Mood::Honest);
    let whole = honest.transaction("T1", 8888, "SUCCESS");
    let decided = decide(driver, &notice(&honest, "TRANSACTION.SUCCESS", &whole)).unwrap();
    assert!(matches!(decided.event, Event::Paid(_)));
    let (merchant, app) = (NoticeError::Foreign("merchant"), NoticeError::Foreign("app"));
    for (text, expected) in [
        (whole.replace(SUB_MCH_ID, "1900000120"), &merchant),
        (whole.replace(MCH_ID, "1900000110"), &merchant),
        (whole.replace("sub_mchid", "sub_mchid_"), &merchant),
        // One of the partner's own money, or of a merchant without a partner.
        (
            whole.replacen('{', &format!("{{\"mchid\":\"{MCH_ID}\","), 1),
            &merchant,
        ),
        (
            Books {
                is_partner: false,
                ..books(Mood::Honest)
            }
            .transaction("T1", 8888, "SUCCESS"),
            &merchant,
        ),
        (whole.replace(SP_APP_ID, "wx0"), &app),
        (whole.replace(APP_ID, "wx0"), &app),
        // Without it the app would be the partner's, which the settings do not offer.
        (whole.replace("sub_appid", "sub_appid_"), &app),
    ] {
        assert_ne!(text, whole);
        let refused = decide(driver, &notice(&honest, "TRANSACTION.SUCCESS", &text));
        assert_eq!(refused.as_ref(), Err(expected), "{text}");
    }
    let direct = StandIn::by_public_key("").await;
    let refused = decide(&direct.driver, &notice(&honest, "TRANSACTION.SUCCESS", &whole));
    assert_eq!(refused, Err(merchant));
}

#[tokio::test]
async fn a_refund_names_both_merchants() {
    let vendor = StandIn::of_partner().await;
    let of = |sp: &str, sub: &str| {
        json!({
            "sp_mchid": sp, "sub_mchid": sub, "out_trade_no": "T1", "transaction_id": "42", "out_refund_no": "R1",
            "refund_id": "50", "refund_status": "SUCCESS", "amount": { "total": 8888, "refund": 88 },
        })
        .to_string()
    };
    let decided = |text: String| {
        decide(
            &vendor.driver,
            &notice(&books(Mood::Honest), "REFUND.SUCCESS", &text),
        )
    };
    let event = decided(of(MCH_ID, SUB_MCH_ID)).unwrap().event;
    assert!(
        matches!(event, Event::Refunded { amount_fen: 88, .. }),
        "{event:?}"
    );
    for (sp, sub) in [("1900000110", SUB_MCH_ID), (MCH_ID, "1900000120")] {
        assert_eq!(decided(of(sp, sub)), Err(NoticeError::Foreign("merchant")));
    }
}

#[tokio::test]
async fn a_bill_is_that_of_the_merchant() {
    let vendor = StandIn::of_partner().await;
    let day = Day::new(20_261_201).unwrap();
    assert_eq!(vendor.driver.bill(day).await.unwrap().len(), 2);
    vendor.mood(Mood::OtherMerchant);
    let failure = vendor.driver.bill(day).await;
    assert_eq!(
        failure,
        Err(Failure::Away("a bill that cannot be read".to_owned()))
    );
}
