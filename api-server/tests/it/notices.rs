//! Notices of providers: forged, wrong, repeated, racing, too early. Money moves once, or not at all.

use api_server::now_ms;
use ring::hmac;
use serde_json::{Value, json};

use super::{
    money::wallet,
    people::Person,
    service::{Reply, Service},
};

const PATH: &str = "/payment/mockpay/notice";

/// A notice that is on its way.
#[derive(Clone)]
pub struct Notice {
    time: String,
    signature: String,
    body: String,
}

impl Notice {
    pub async fn send(&self, service: &Service) -> Reply {
        let call = service.post(PATH).header("mockpay-time", &self.time);
        let call = call.header("mockpay-signature", &self.signature);
        call.body(self.body.clone()).send().await
    }

    /// As a child of `kills` sends it, at the time of its signing.
    pub fn request(&self) -> Value {
        let time: i64 = self.time.parse().unwrap();
        json!({"path": PATH, "body": self.body, "clock_ms": time, "headers": {
            "mockpay-time": self.time, "mockpay-signature": self.signature,
        }})
    }

    async fn is_taken(&self, service: &Service) {
        let reply = self.send(service).await;
        assert_eq!(
            (reply.status, reply.text.as_str()),
            (200, r#"{"code":"SUCCESS"}"#)
        );
    }

    /// Signed, but not what our rows say: the provider repeats it.
    async fn is_not_taken(&self, service: &Service) {
        let reply = self.send(service).await;
        assert_eq!((reply.status, reply.text.as_str()), (500, r#"{"code":"FAIL"}"#));
    }

    async fn is_refused(&self, service: &Service) {
        self.send(service).await.refused(400, "payment.notice_refused");
    }
}

impl Service {
    /// A text as mockpay signs it.
    pub async fn signed(&self, body: String, time_ms: i64) -> Notice {
        let row = self
            .database
            .query_first("SELECT value FROM secret WHERE name = 'mockpay'", vec![])
            .await
            .unwrap();
        let secret: bytes::Bytes = row.unwrap().get(0).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let signature = hmac::sign(&key, format!("{time_ms}\n{body}").as_bytes());
        Notice {
            time: time_ms.to_string(),
            signature: hex::encode(signature),
            body,
        }
    }

    pub async fn notice(&self, id: &str, event: Value) -> Notice {
        let body = json!({"notice_id": id, "merchant": "huizhen", "event": event});
        self.signed(body.to_string(), now_ms()).await
    }
}

fn number(order: &Value) -> String {
    let page = order["ticket"]["page"].as_str().unwrap();
    page.strip_prefix("/mockpay/").unwrap().to_owned()
}

pub fn paid(order: &Value) -> Value {
    json!({"paid": {
        "out_trade_no": number(order), "transaction_id": "m1", "amount_fen": order["amount_fen"], "currency": "CNY",
        "paid_ms": now_ms(),
    }})
}

pub fn closed(order: &Value) -> Value {
    json!({"closed": {"out_trade_no": number(order)}})
}

async fn outcomes(service: &Service) -> Vec<(String, bool)> {
    let sql = "SELECT outcome, order_id IS NOT NULL FROM payment_notice ORDER BY outcome";
    let rows = service.database.query(sql, vec![]).await.unwrap();
    rows.iter()
        .map(|row| (row.get(0).unwrap(), row.get(1).unwrap()))
        .collect()
}

async fn nothing_moved(service: &Service, member: &Person) {
    assert_eq!(service.balance(wallet(member)).await, 0);
    assert_eq!(service.number("SELECT count(*) FROM transfer").await, 0);
    let open = "SELECT count(*) FROM payment_order WHERE state <> 'open'";
    assert_eq!(service.number(open).await, 0);
}

#[tokio::test]
async fn a_notice_that_no_provider_signed_is_recorded_and_moves_nothing() {
    let service = Service::charging().await;
    let member = service.member("Pat").await;
    let order = service.order(&member, 100, "a").await;
    let good = service.notice("n", paid(&order)).await;
    let changed = |change: fn(&mut Notice)| {
        let mut notice = good.clone();
        change(&mut notice);
        notice
    };
    // A later one of the same hash takes the row of an earlier one: each is looked for at once.
    let is_recorded = async |text: &str| {
        let recorded = outcomes(&service).await;
        recorded.contains(&(text.to_owned(), false))
    };
    let dearer = changed(|notice| notice.body = notice.body.replace("100", "900"));
    dearer.is_refused(&service).await;
    assert!(is_recorded("the signature is wrong").await);
    for forged in [
        changed(|notice| notice.body.clear()),
        changed(|notice| notice.signature = "00".repeat(32)),
        changed(|notice| notice.signature.clear()),
        changed(|notice| notice.signature = "x".into()),
        changed(|notice| notice.time = "1".into()),
        changed(|notice| notice.time = "x".into()),
    ] {
        forged.is_refused(&service).await;
    }
    service
        .post(PATH)
        .body(good.body.clone())
        .send()
        .await
        .refused(400, "payment.notice_refused");
    for time_ms in [now_ms() - 301_000, now_ms() + 360_000, 0, i64::MAX] {
        service
            .signed(good.body.clone(), time_ms)
            .await
            .is_refused(&service)
            .await;
        assert!(is_recorded("the notice is too old").await);
    }
    let of_another = good.body.replace("huizhen", "another");
    let of_another = service.signed(of_another, now_ms()).await;
    of_another.is_refused(&service).await;
    assert!(is_recorded("the notice is for another merchant").await);
    for body in [
        String::new(),
        "null".into(),
        "<xml><!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><a>&e;</a></xml>".into(),
        good.body.replace("100", "1e400"),
        good.body.replace("100", "100.0"),
        good.body.replace("100", "\"100\""),
        good.body.replace("100", "99999999999999999999"),
    ] {
        service.signed(body, now_ms()).await.is_refused(&service).await;
    }
    let large = service.signed("x".repeat(1 << 20), now_ms()).await;
    large.send(&service).await.refused(413, "request.body_too_large");
    service
        .get(PATH)
        .send()
        .await
        .refused(405, "request.method_not_allowed");
    for path in [
        "/payment/wechat/notice",
        "/payment/bank/notice",
        "/payment/x/notice",
    ] {
        service
            .post(path)
            .body("{}")
            .send()
            .await
            .refused(404, "request.not_found");
    }
    nothing_moved(&service, &member).await;
    let recorded = outcomes(&service).await;
    assert!(!recorded.is_empty() && recorded.iter().all(|(_, accepted)| !accepted));
    // The true one still counts.
    good.is_taken(&service).await;
    assert_eq!(service.balance(wallet(&member)).await, 100);
}

/// A stranger sends as many as they like: rows and their rate have a limit.
#[tokio::test]
async fn forged_notices_fill_no_table() {
    let service = Service::charging().await;
    let calls = (0..300).map(|at| {
        let notice = Notice {
            time: "1".into(),
            signature: "00".into(),
            body: format!("{at}"),
        };
        let service = &service;
        async move { notice.is_refused(service).await }
    });
    futures_util::future::join_all(calls).await;
    let rows = service.number("SELECT count(*) FROM payment_notice").await;
    assert!((1..=61).contains(&rows), "{rows}");
}

#[tokio::test]
async fn a_notice_that_is_not_what_our_order_says_moves_nothing() {
    let service = Service::charging().await;
    let member = service.member("Pat").await;
    let order = service.order(&member, 100, "a").await;
    let with = |field: &str, value: Value| {
        let mut event = paid(&order);
        event["paid"][field] = value;
        event
    };
    let number = number(&order);
    for (at, (event, outcome)) in [
        (with("amount_fen", json!(101)), "amount_differs"),
        (with("amount_fen", json!(99)), "amount_differs"),
        (with("amount_fen", json!(-100)), "amount_differs"),
        (with("amount_fen", json!(i64::MAX)), "amount_differs"),
        (with("currency", json!("USD")), "currency_differs"),
        (with("transaction_id", json!("")), "transaction_id_invalid"),
        (
            with("transaction_id", json!("x".repeat(65))),
            "transaction_id_invalid",
        ),
        (with("out_trade_no", json!("T1X999")), "unknown_order"),
        (with("out_trade_no", json!(format!("{number}9"))), "unknown_order"),
        (
            with("out_trade_no", json!(number.replacen('T', "T1", 1))),
            "unknown_order",
        ),
        (
            with("out_trade_no", json!("'; DROP TABLE transfer")),
            "unknown_order",
        ),
        (json!({"closed": {"out_trade_no": "T1X999"}}), "unknown_order"),
        (
            json!({"refunded": {"out_refund_no": "R1X1", "amount_fen": 1}}),
            "unknown_refund",
        ),
        (
            json!({"refund_failed": {"out_refund_no": "R1X1", "reason": "x"}}),
            "unknown_refund",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let notice = service.notice(&format!("n{at}"), event).await;
        notice.is_not_taken(&service).await;
        let recorded = outcomes(&service).await;
        let last = recorded
            .iter()
            .filter(|(known, accepted)| known == outcome && !accepted);
        assert!(last.count() > 0, "{outcome}: {recorded:?}");
    }
    nothing_moved(&service, &member).await;
    // One that says nothing about money is taken and recorded.
    service
        .notice("other", json!("other"))
        .await
        .is_taken(&service)
        .await;
    nothing_moved(&service, &member).await;
}

/// I6. The order is committed before its provider is asked; should a notice come before that, the provider repeats it.
#[tokio::test]
async fn a_notice_before_its_order_is_repeated_and_counts_then() {
    let service = Service::charging().await;
    let member = service.member("Pat").await;
    let order = service.order(&member, 100, "a").await;
    let id = order["order_id"].as_i64().unwrap();
    let notice = service.notice("n", paid(&order)).await;
    service
        .rewrite("UPDATE payment_order SET id = id + 1000000 WHERE id = $1", id)
        .await;
    notice.is_not_taken(&service).await;
    assert_eq!(outcomes(&service).await, [("unknown_order".to_owned(), false)]);
    service
        .rewrite(
            "UPDATE payment_order SET id = id - 1000000 WHERE id = $1",
            id + 1_000_000,
        )
        .await;
    for _ in 0..2 {
        notice.is_taken(&service).await;
    }
    assert_eq!(outcomes(&service).await, [("paid".to_owned(), true)]);
    assert_eq!(service.balance(wallet(&member)).await, 100);
    service.balances().await;
}

/// I6.
#[tokio::test]
async fn twenty_notices_at_once_on_two_services_move_money_once() {
    let service = Service::charging().await;
    let beside = service.beside().await;
    let member = service.member("Pat").await;
    let mut expected = 0;
    for round in 0..6 {
        let order = service.order(&member, 100, &format!("k{round}")).await;
        expected += 100;
        let mut notices = vec![service.notice(&format!("n{round}"), paid(&order)).await; 16];
        // Another id, and words that it failed.
        notices.push(service.notice(&format!("o{round}"), paid(&order)).await);
        for at in 0..3 {
            notices.push(service.notice(&format!("c{round}-{at}"), closed(&order)).await);
        }
        let sent = notices.iter().enumerate().map(|(at, notice)| {
            let to = if at % 2 == 0 { &service } else { &beside };
            notice.is_taken(to)
        });
        let looks = (0..4).map(|_| beside.order_now(&member, &order));
        let (_, _) = tokio::join!(
            futures_util::future::join_all(sent),
            futures_util::future::join_all(looks)
        );
        assert_eq!(service.order_now(&member, &order).await["state"], "paid");
        assert_eq!(service.balance(wallet(&member)).await, expected);
        // Much later, it fails again, and another payment of it is refused.
        service
            .notice(&format!("d{round}"), closed(&order))
            .await
            .is_taken(&beside)
            .await;
        let mut again = paid(&order);
        again["paid"]["transaction_id"] = json!("m2");
        service
            .notice(&format!("e{round}"), again)
            .await
            .is_not_taken(&beside)
            .await;
        assert_eq!(service.order_now(&member, &order).await["state"], "paid");
    }
    assert_eq!(service.balance(wallet(&member)).await, expected);
    assert_eq!(service.number("SELECT count(*) FROM transfer").await, 6);
    service.balances().await;
}
