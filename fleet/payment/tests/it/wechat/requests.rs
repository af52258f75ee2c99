//! Orders and refunds.

use ledger::Fen;
use payment::{Failure, NewOrder, NewRefund, OrderState, RefundState, Scene};
use serde_json::Value;

use super::stand_in::{APP_ID, MCH_ID, Mood, StandIn};
use crate::{certificates::verifies, keys::MERCHANT, server::now_ms};

pub(super) fn order(scene: Scene) -> NewOrder {
    NewOrder {
        out_trade_no: "T1".to_owned(),
        amount: Fen::new(8888).unwrap(),
        scene,
        description: "钱包充值".to_owned(),
        payer: Some("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o".to_owned()),
        client_address: Some("203.0.113.7".to_owned()),
        expires_ms: now_ms() + 1_800_000,
    }
}

pub(super) fn refund(number: &str, fen: i64) -> NewRefund {
    NewRefund {
        out_refund_no: number.to_owned(),
        out_trade_no: "T1".to_owned(),
        amount: Fen::new(fen).unwrap(),
        total: Fen::new(8888).unwrap(),
        reason: "余额退回".repeat(20),
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} in {value}"))
}

#[tokio::test]
async fn each_scene_gets_what_its_sdk_needs() {
    let vendor = StandIn::start().await;
    let app = vendor.driver.create(order(Scene::App)).await.unwrap().0;
    let prepay_id = "wx26112221580621e9b071c00d9e093b0000";
    assert_eq!((text(&app, "appid"), text(&app, "partnerid")), (APP_ID, MCH_ID));
    assert_eq!(
        (text(&app, "prepayid"), text(&app, "package")),
        (prepay_id, "Sign=WXPay")
    );
    let signed = format!(
        "{APP_ID}\n{}\n{}\n{prepay_id}\n",
        text(&app, "timestamp"),
        text(&app, "noncestr")
    );
    assert!(verifies(MERCHANT, &signed, text(&app, "sign")));

    let page = vendor.driver.create(order(Scene::Jsapi)).await.unwrap().0;
    let package = format!("prepay_id={prepay_id}");
    assert_eq!((text(&page, "appId"), text(&page, "signType")), (APP_ID, "RSA"));
    assert_eq!(text(&page, "package"), package);
    let signed = format!(
        "{APP_ID}\n{}\n{}\n{package}\n",
        text(&page, "timeStamp"),
        text(&page, "nonceStr")
    );
    assert!(verifies(MERCHANT, &signed, text(&page, "paySign")));

    let code = vendor.driver.create(order(Scene::Native)).await.unwrap().0;
    assert!(text(&code, "code_url").starts_with("weixin://"));
    let h5 = vendor.driver.create(order(Scene::H5)).await.unwrap().0;
    assert!(text(&h5, "h5_url").starts_with("https://wx.tenpay.com/"));

    let bodies = vendor.books.lock().bodies.clone();
    for body in &bodies {
        assert_eq!(
            (
                body["amount"]["total"].as_i64(),
                text(&body["amount"], "currency")
            ),
            (Some(8888), "CNY")
        );
        assert_eq!((text(body, "mchid"), text(body, "appid")), (MCH_ID, APP_ID));
        assert!(text(body, "time_expire").ends_with("+08:00"));
    }
    assert_eq!(
        text(&bodies[1]["payer"], "openid"),
        "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
    );
    assert_eq!(text(&bodies[3]["scene_info"], "payer_client_ip"), "203.0.113.7");
    let nonces: Vec<&str> = vec![text(&app, "noncestr"), text(&page, "nonceStr")];
    assert_ne!(nonces[0], nonces[1]);
}

#[tokio::test]
async fn a_scene_without_its_payer_is_refused() {
    let vendor = StandIn::start().await;
    for (scene, names) in [(Scene::Jsapi, "openid"), (Scene::H5, "address")] {
        let bare = NewOrder {
            payer: None,
            client_address: None,
            ..order(scene)
        };
        let refused = vendor.driver.create(bare).await.unwrap_err();
        assert!(
            matches!(&refused, Failure::Refused(why) if why.contains(names)),
            "{refused}"
        );
    }
    let bad = NewOrder {
        out_trade_no: "../x".to_owned(),
        ..order(Scene::App)
    };
    assert!(matches!(
        vendor.driver.create(bad).await,
        Err(Failure::Refused(_))
    ));
    assert!(vendor.books.lock().bodies.is_empty());
}

#[tokio::test]
async fn an_order_is_asked_for_and_closed() {
    let vendor = StandIn::by_public_key("").await;
    let driver = &vendor.driver;
    assert_eq!(driver.query("T1").await, Ok(OrderState::Unknown));
    assert_eq!(driver.close("T1").await, Ok(()));
    driver.create(order(Scene::Native)).await.unwrap();
    assert_eq!(driver.query("T1").await, Ok(OrderState::Open));
    vendor
        .books
        .lock()
        .orders
        .insert("T1".to_owned(), (8888, "SUCCESS"));
    let Ok(OrderState::Paid(payment)) = driver.query("T1").await else {
        panic!("not paid");
    };
    assert_eq!((payment.amount_fen, payment.currency.as_str()), (8888, "CNY"));
    assert_eq!(payment.transaction_id, "1217752501201407033233368018");
    assert_eq!(payment.paid_ms, 1_796_092_496_000);
    let refused = driver.close("T1").await.unwrap_err();
    assert!(
        matches!(&refused, Failure::Refused(why) if why.contains("ORDERPAID")),
        "{refused}"
    );
    vendor
        .books
        .lock()
        .orders
        .insert("T1".to_owned(), (8888, "REFUND"));
    assert!(matches!(driver.query("T1").await, Ok(OrderState::Paid(_))));
    vendor
        .books
        .lock()
        .orders
        .insert("T1".to_owned(), (8888, "NOTPAY"));
    assert_eq!(driver.close("T1").await, Ok(()));
    assert_eq!(driver.query("T1").await, Ok(OrderState::Closed));
    assert_eq!(driver.probe().await, Ok(()));
}

#[tokio::test]
async fn a_lie_is_no_answer() {
    let vendor = StandIn::start().await;
    vendor
        .books
        .lock()
        .orders
        .insert("T1".to_owned(), (8888, "SUCCESS"));
    assert!(matches!(vendor.driver.query("T1").await, Ok(OrderState::Paid(_))));
    for (mood, says) in [
        (Mood::WrongSignature, "not trusted: the signature is wrong"),
        (Mood::Unsigned, "not trusted: the signature is wrong"),
        (Mood::UnknownSerial, "not trusted: the serial"),
        (Mood::OldTime, "not trusted: the notice is too old"),
        (Mood::FutureTime, "not trusted: the notice is too old"),
        (Mood::OtherMerchant, "about another order"),
        (Mood::OtherApp, "about another order"),
        (Mood::OtherOrder, "about another order"),
        (Mood::DoubledKeys, "cannot be read"),
        (Mood::NotJson, "cannot be read"),
        (Mood::Endless, "longer than"),
        (Mood::Redirects, "status 302"),
        (Mood::Fails, "status 502"),
    ] {
        vendor.mood(mood);
        let failure = vendor.driver.query("T1").await.unwrap_err();
        let is_away = matches!(&failure, Failure::Away(why) if why.contains(says));
        assert!(is_away, "{mood:?}: {failure}");
    }
}

#[tokio::test]
async fn a_silent_vendor_costs_a_bounded_wait_and_no_error_has_its_url() {
    let vendor = StandIn::by_public_key("").await;
    vendor.mood(Mood::Hangs);
    let began = std::time::Instant::now();
    let failure = vendor.driver.query("T1").await.unwrap_err();
    assert_eq!(failure, Failure::Away("no answer in time".to_owned()));
    assert!(began.elapsed().as_secs() < 8);
    let folder = tempfile::tempdir().unwrap();
    let nowhere = super::stand_in::driver(&folder, "http://127.0.0.1:1", "");
    let failure = nowhere.query("T1").await.unwrap_err();
    assert_eq!(failure, Failure::Away("no connection".to_owned()));
    assert_eq!(
        format!("{nowhere:?}"),
        format!("Wechat(Wechat {{ mch_id: {MCH_ID:?}, .. }})")
    );
}

#[tokio::test]
async fn a_refund_is_made_once_and_its_state_is_told() {
    let vendor = StandIn::start().await;
    let driver = &vendor.driver;
    vendor
        .books
        .lock()
        .orders
        .insert("T1".to_owned(), (8888, "SUCCESS"));
    assert_eq!(driver.query_refund("R1", "T1").await, Ok(RefundState::Unknown));
    assert_eq!(driver.refund(refund("R1", 88)).await, Ok(RefundState::Running));
    for (state, expected) in [
        ("PROCESSING", RefundState::Running),
        ("ABNORMAL", RefundState::Running),
        ("SUCCESS", RefundState::Done),
        ("CLOSED", RefundState::Failed("CLOSED".to_owned())),
    ] {
        vendor.books.lock().refund_state = Some(state);
        assert_eq!(driver.query_refund("R1", "T1").await, Ok(expected), "{state}");
    }
    vendor.mood(Mood::OtherOrder);
    assert!(matches!(
        driver.query_refund("R1", "T1").await,
        Err(Failure::Away(_))
    ));
    assert!(matches!(
        driver.refund(refund("R1", 88)).await,
        Err(Failure::Away(_))
    ));
}

#[tokio::test]
async fn a_lost_answer_is_no_refusal() {
    let vendor = StandIn::by_public_key("").await;
    let driver = &vendor.driver;
    vendor
        .books
        .lock()
        .orders
        .insert("T1".to_owned(), (8888, "SUCCESS"));
    vendor.mood(Mood::LosesTheAnswer);
    assert!(matches!(
        driver.refund(refund("R1", 88)).await,
        Err(Failure::Away(_))
    ));
    // The vendor did it, and refuses the repetition: what it did counts.
    vendor.mood(Mood::RefusesRepetitions);
    vendor.books.lock().refund_state = Some("SUCCESS");
    assert_eq!(driver.refund(refund("R1", 88)).await, Ok(RefundState::Done));
    // It never did this one.
    vendor
        .books
        .lock()
        .orders
        .insert("T1".to_owned(), (8888, "CLOSED"));
    let refused = driver.refund(refund("R2", 1)).await.unwrap_err();
    assert!(
        matches!(&refused, Failure::Refused(why) if why.contains("INVALID_REQUEST")),
        "{refused}"
    );
}
