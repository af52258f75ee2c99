//! Orders and refunds.

use ledger::Fen;
use payment::{Failure, NewOrder, NewRefund, OrderState, RefundState, Scene};
use serde_json::Value;

use super::stand_in::{APP_ID, Mood, StandIn, driver, is_signed, params};
use crate::{keys::PLATFORM_PUBLIC, server::now_ms};

fn order(scene: Scene) -> NewOrder {
    NewOrder {
        out_trade_no: "T1".to_owned(),
        amount: Fen::new(8888).unwrap(),
        scene,
        description: "钱包充值 + 赠送".to_owned(),
        payer: Some("2088102534368455".to_owned()),
        client_address: None,
        expires_ms: now_ms() + 1_800_000,
    }
}

fn refund(number: &str, fen: i64) -> NewRefund {
    NewRefund {
        out_refund_no: number.to_owned(),
        out_trade_no: "T1".to_owned(),
        amount: Fen::new(fen).unwrap(),
        total: Fen::new(8888).unwrap(),
        reason: "余额退回".to_owned(),
    }
}

#[tokio::test]
async fn an_app_and_a_browser_get_signed_orders_without_a_request() {
    let vendor = StandIn::start().await;
    let app = vendor.driver.create(order(Scene::App)).await.unwrap().0;
    let browser = vendor.driver.create(order(Scene::H5)).await.unwrap().0;
    let url = browser["h5_url"].as_str().unwrap();
    assert!(url.contains("/gateway.do?"));
    for (text, method, product) in [
        (
            app["order_string"].as_str().unwrap(),
            "alipay.trade.app.pay",
            "QUICK_MSECURITY_PAY",
        ),
        (
            url.split_once('?').unwrap().1,
            "alipay.trade.wap.pay",
            "QUICK_WAP_WAY",
        ),
    ] {
        let params = params(text);
        assert!(is_signed(&params), "{text}");
        assert!(!text.contains('+'), "{text}");
        assert_eq!(
            (params["method"].as_str(), params["app_id"].as_str()),
            (method, APP_ID)
        );
        assert_eq!(
            params["notify_url"],
            "https://api.example.com/payment/alipay/notice"
        );
        let content: Value = serde_json::from_str(&params["biz_content"]).unwrap();
        assert_eq!(
            (content["total_amount"].as_str(), content["product_code"].as_str()),
            (Some("88.88"), Some(product))
        );
        assert_eq!(content["subject"], "钱包充值 + 赠送");
    }
    assert!(vendor.books.lock().calls.is_empty());
}

#[tokio::test]
async fn a_code_and_a_mini_program_get_orders_that_the_gateway_made() {
    let vendor = StandIn::start().await;
    let code = vendor.driver.create(order(Scene::Native)).await.unwrap().0;
    assert_eq!(code["code_url"], "https://qr.alipay.com/bax0");
    for (payer, name) in [
        ("2088102534368455", "buyer_id"),
        ("074a1CcTG1LelxKe4xQC0zgNdId0nxi95b5", "buyer_open_id"),
    ] {
        let page = NewOrder {
            payer: Some(payer.to_owned()),
            ..order(Scene::Jsapi)
        };
        let ticket = vendor.driver.create(page).await.unwrap().0;
        assert_eq!(ticket["trade_no"], "2026120122001");
        let (method, content) = vendor.books.lock().calls.pop().unwrap();
        assert_eq!(method, "alipay.trade.create");
        assert_eq!(
            (content[name].as_str(), content["op_app_id"].as_str()),
            (Some(payer), Some(APP_ID))
        );
    }
    let bare = NewOrder {
        payer: None,
        ..order(Scene::Jsapi)
    };
    let refused = vendor.driver.create(bare).await.unwrap_err();
    assert!(
        matches!(&refused, Failure::Refused(why) if why.contains("payer")),
        "{refused}"
    );
    vendor.mood(Mood::OtherOrder);
    assert!(matches!(
        vendor.driver.create(order(Scene::Native)).await,
        Err(Failure::Away(_))
    ));
}

#[tokio::test]
async fn an_order_is_asked_for_and_closed() {
    let vendor = StandIn::start().await;
    let driver = &vendor.driver;
    assert_eq!(driver.query("T1").await, Ok(OrderState::Unknown));
    assert_eq!(driver.close("T1").await, Ok(()));
    for (state, is_paid) in [
        ("TRADE_SUCCESS", true),
        ("TRADE_FINISHED", true),
        ("WAIT_BUYER_PAY", false),
    ] {
        vendor.has("T1", state);
        match driver.query("T1").await {
            Ok(OrderState::Paid(payment)) if is_paid => {
                assert_eq!((payment.amount_fen, payment.currency.as_str()), (8888, "CNY"));
                assert_eq!(payment.paid_ms, 1_796_092_496_000);
                let refused = driver.close("T1").await;
                assert!(matches!(refused, Err(Failure::Refused(_))), "{refused:?}");
            }
            Ok(OrderState::Open) if !is_paid => assert_eq!(driver.close("T1").await, Ok(())),
            other => panic!("{state}: {other:?}"),
        }
    }
    assert_eq!(driver.query("T1").await, Ok(OrderState::Closed));
    // Closed before: the same again.
    assert_eq!(driver.close("T1").await, Ok(()));
    assert_eq!(driver.probe().await, Ok(()));
}

#[tokio::test]
async fn a_lie_is_no_answer() {
    let vendor = StandIn::start().await;
    vendor.has("T1", "TRADE_SUCCESS");
    for mood in [Mood::Honest, Mood::EscapesSlashes] {
        vendor.mood(mood);
        assert!(
            matches!(vendor.driver.query("T1").await, Ok(OrderState::Paid(_))),
            "{mood:?}"
        );
    }
    for (mood, says) in [
        (Mood::WrongSignature, "a wrong signature"),
        (Mood::Unsigned, "without a signature"),
        (Mood::Reformats, "a wrong signature"),
        (Mood::OtherOrder, "about another order"),
        (Mood::DoubledKeys, "cannot be read"),
        (Mood::DoubledNode, "cannot be read"),
        (Mood::AnotherNode, "cannot be read"),
        (Mood::NotJson, "cannot be read"),
        (Mood::Endless, "longer than"),
        (Mood::Fails, "status 503"),
        (Mood::Busy, "aop.unknow-error"),
    ] {
        vendor.mood(mood);
        let failure = vendor.driver.query("T1").await.unwrap_err();
        let is_away = matches!(&failure, Failure::Away(why) if why.contains(says));
        assert!(is_away, "{mood:?}: {failure}");
    }
    vendor.mood(Mood::Honest);
    for amount in ["88.888", "-1", "1e3", "", "999999999999.00"] {
        let order = (amount.to_owned(), "TRADE_SUCCESS");
        vendor.books.lock().orders.insert("T1".to_owned(), order);
        assert!(
            matches!(vendor.driver.query("T1").await, Err(Failure::Away(_))),
            "{amount}"
        );
    }
}

#[tokio::test]
async fn a_silent_vendor_costs_a_bounded_wait_and_no_error_has_its_url() {
    let vendor = StandIn::start().await;
    vendor.mood(Mood::Hangs);
    let failure = vendor.driver.query("T1").await.unwrap_err();
    assert_eq!(failure, Failure::Away("no answer in time".to_owned()));
    let folder = tempfile::tempdir().unwrap();
    let nowhere = driver(&folder, "http://127.0.0.1:1/gateway.do", PLATFORM_PUBLIC);
    let failure = nowhere.query("T1").await.unwrap_err();
    assert_eq!(failure, Failure::Away("no connection".to_owned()));
    assert_eq!(
        format!("{nowhere:?}"),
        format!("Alipay(Alipay {{ app_id: {APP_ID:?}, .. }})")
    );
}

#[tokio::test]
async fn a_refund_is_made_once_and_its_state_is_told() {
    let vendor = StandIn::start().await;
    let driver = &vendor.driver;
    vendor.has("T1", "TRADE_SUCCESS");
    assert_eq!(driver.query_refund("R1", "T1").await, Ok(RefundState::Unknown));
    assert_eq!(driver.refund(refund("R1", 88)).await, Ok(RefundState::Done));
    assert_eq!(vendor.books.lock().refunds["R1"].1, "0.88");
    // The repetition moves nothing, so that only a question decides.
    assert_eq!(driver.refund(refund("R1", 88)).await, Ok(RefundState::Running));
    assert_eq!(driver.query_refund("R1", "T1").await, Ok(RefundState::Done));
    let unfinished = ("T1".to_owned(), "0.88".to_owned(), None);
    vendor.books.lock().refunds.insert("R3".to_owned(), unfinished);
    assert_eq!(driver.query_refund("R3", "T1").await, Ok(RefundState::Running));
    let failed = ("T1".to_owned(), "0.88".to_owned(), Some("REFUND_FAIL"));
    vendor.books.lock().refunds.insert("R5".to_owned(), failed);
    let again = Ok(RefundState::Unknown);
    assert_eq!(driver.query_refund("R5", "T1").await, again);
    vendor.mood(Mood::OtherOrder);
    assert!(matches!(
        driver.query_refund("R1", "T1").await,
        Err(Failure::Away(_))
    ));
    assert!(matches!(
        driver.refund(refund("R4", 88)).await,
        Err(Failure::Away(_))
    ));
}

#[tokio::test]
async fn a_lost_answer_is_no_refusal() {
    let vendor = StandIn::start().await;
    let driver = &vendor.driver;
    vendor.has("T1", "TRADE_SUCCESS");
    vendor.mood(Mood::LosesTheAnswer);
    assert!(matches!(
        driver.refund(refund("R1", 88)).await,
        Err(Failure::Away(_))
    ));
    vendor.mood(Mood::RefusesRepetitions);
    assert_eq!(driver.refund(refund("R1", 88)).await, Ok(RefundState::Done));
    vendor.has("T1", "TRADE_CLOSED");
    let refused = driver.refund(refund("R2", 1)).await.unwrap_err();
    assert!(
        matches!(&refused, Failure::Refused(why) if why.contains("ACQ.TRADE_STATUS_ERROR")),
        "{refused}"
    );
    vendor.mood(Mood::Busy);
    assert!(matches!(
        driver.refund(refund("R2", 1)).await,
        Err(Failure::Away(_))
    ));
}
