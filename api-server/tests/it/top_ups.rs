//! Topping up: orders, the page of mockpay, and what it can do to them.

use database::params;
use serde_json::{Value, json};

use super::{
    money::wallet,
    people::Person,
    service::{Reply, Service},
};

pub fn top_up(fen: i64) -> Value {
    json!({"amount_fen": fen, "provider": "mockpay", "scene": "app"})
}

impl Service {
    pub async fn try_order(&self, who: &Person, fen: i64, key: &str) -> Reply {
        let call = who.post(self, "/wallet/top_up", top_up(fen));
        call.key(key).send().await
    }

    pub async fn order(&self, who: &Person, fen: i64, key: &str) -> Value {
        self.try_order(who, fen, key).await.result()
    }

    /// Presses a button of mockpay's page, which is shown afterwards.
    pub async fn press(&self, order: &Value, button: &str) {
        let page = order["ticket"]["page"].as_str().unwrap();
        let shown = self.post(&format!("{page}/{button}")).send().await;
        assert_eq!(shown.status, 200, "{}", shown.text);
        assert!(shown.text.starts_with("<!doctype html>"));
    }

    pub async fn order_now(&self, who: &Person, order: &Value) -> Value {
        let path = format!("/wallet/order/{}", order["order_id"]);
        who.get(self, &path).send().await.result()
    }

    pub async fn rewrite(&self, sql: &'static str, id: i64) {
        let changed = self
            .database
            .transaction(move |tx| Box::pin(async move { tx.execute(sql, params![id]).await }))
            .await
            .unwrap();
        assert_eq!(changed, 1, "{sql}");
    }
}

#[tokio::test]
async fn a_paid_order_fills_the_wallet() {
    let service = Service::charging().await;
    let member = service.member("李女士").await;
    let made = service.try_order(&member, 8_888, "a").await;
    let order = made.result();
    let mut whole = json!({
        "success": true, "code": 200,
        "result": {
            "order_id": order["order_id"], "state": "open", "amount_fen": 8_888, "provider": "mockpay", "scene": "app",
            "ticket": {"page": format!("/mockpay/T{}X{}", order["created_ms"], order["order_id"])},
            "created_ms": order["created_ms"], "expires_ms": order["created_ms"].as_i64().unwrap() + 1_800_000,
            "refunded_fen": 0,
        },
    });
    assert_eq!(made.json, whole);
    let wallet = member.get(&service, "/wallet").send().await;
    let empty = json!({"success": true, "code": 200, "result": {"balance_fen": 0, "total_consumed_fen": 0}});
    assert_eq!(wallet.json, empty);

    service.press(&order, "pay").await;
    let paid = service.order_now(&member, &order).await;
    whole["result"]["state"] = "paid".into();
    whole["result"]["paid_ms"] = paid["paid_ms"].clone();
    assert_eq!(paid, whole["result"]);
    assert!(paid["paid_ms"].as_i64() >= paid["created_ms"].as_i64());
    let wallet = member.get(&service, "/wallet").send().await.result();
    assert_eq!(wallet, json!({"balance_fen": 8_888, "total_consumed_fen": 0}));
    // Again: the same order as it is now, and another press moves nothing.
    service.press(&order, "pay").await;
    let again = service.try_order(&member, 8_888, "a").await;
    assert_eq!(
        (again.result(), again.header("idempotent-replayed")),
        (paid.clone(), "true")
    );
    let list = member.get(&service, "/wallet/order_list?count=true").send().await;
    assert_eq!(
        list.json,
        json!({"success": true, "code": 200, "result": [paid], "has_more": false, "total": 1})
    );
    assert_eq!(service.number("SELECT count(*) FROM transfer").await, 1);
    service.balances().await;
}

#[tokio::test]
async fn an_order_is_made_once_for_a_key() {
    let service = Service::charging().await;
    let beside = service.beside().await;
    let member = service.member("Pat").await;
    member
        .post(&service, "/wallet/top_up", top_up(100))
        .send()
        .await
        .refused(400, "idempotency.key_required");
    let calls = (0..20).map(|at| {
        let service = if at % 2 == 0 { &service } else { &beside };
        service.try_order(&member, 100, "one")
    });
    let mut orders = Vec::new();
    for reply in futures_util::future::join_all(calls).await {
        if reply.status == 200 {
            orders.push(reply.result()["order_id"].clone());
        } else {
            reply.refused(409, "idempotency.running");
        }
    }
    orders.dedup();
    assert_eq!(orders.len(), 1);
    assert_eq!(service.number("SELECT count(*) FROM payment_order").await, 1);
    let other = service.try_order(&member, 101, "one").await;
    other.refused(422, "idempotency.key_reused");

    // The service ended after the commit of the order, before the provider had answered.
    let order = service.order(&member, 100, "one").await;
    let id = order["order_id"].as_i64().unwrap();
    service
        .rewrite("UPDATE payment_order SET ticket = NULL WHERE id = $1", id)
        .await;
    assert!(service.order_now(&member, &order).await.get("ticket").is_none());
    assert_eq!(beside.order(&member, 100, "one").await, order);
}

#[tokio::test]
async fn an_order_that_its_provider_refuses_is_closed() {
    let service = Service::charging().await;
    let member = service.member("Pat").await;
    let order = service.order(&member, 100, "a").await;
    let id = order["order_id"].as_i64().unwrap();
    let forget = "UPDATE payment_order SET ticket = NULL WHERE id = $1";
    // Paid there, while the notice was lost and the ticket, too: the repetition finds it.
    service.press(&order, "never").await;
    service.rewrite(forget, id).await;
    let paid = service.order(&member, 100, "a").await;
    assert_eq!(paid["state"], "paid");
    assert_eq!(service.balance(wallet(&member)).await, 100);
    // Refused there.
    let order = service.order(&member, 100, "b").await;
    service.press(&order, "refuse").await;
    assert_eq!(service.order_now(&member, &order).await["state"], "closed");
    let id = order["order_id"].as_i64().unwrap();
    service.rewrite(forget, id).await;
    for _ in 0..2 {
        let refused = service.try_order(&member, 100, "b").await;
        refused.refused(409, "wallet.provider_refused");
    }
    service.balances().await;
}

#[tokio::test]
async fn what_is_no_top_up_is_refused() {
    let service = Service::charging().await;
    let member = service.member("Pat").await;
    let stranger = service.member("Sam").await;
    for (at, amount) in [
        json!(0),
        json!(-1),
        json!(1.5),
        json!(100.0),
        json!("100"),
        json!(null),
        json!(1_000_000_001_i64),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e30),
        json!([100]),
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = top_up(1);
        body["amount_fen"] = amount;
        let call = member
            .post(&service, "/wallet/top_up", body)
            .key(&format!("a{at}"));
        call.send()
            .await
            .refused(400, "request.invalid")
            .field("amount_fen");
    }
    for (at, field, value) in [
        (1, "provider", json!("cash")),
        (2, "provider", json!("bank")),
        (3, "scene", json!("web")),
        (4, "payer", json!("")),
    ] {
        let mut body = top_up(1);
        body[field] = value;
        let call = member
            .post(&service, "/wallet/top_up", body)
            .key(&format!("b{at}"));
        call.send().await.refused(400, "request.invalid").field(field);
    }
    let jsapi = json!({"amount_fen": 1, "provider": "mockpay", "scene": "jsapi"});
    let call = member.post(&service, "/wallet/top_up", jsapi).key("c");
    call.send().await.refused(400, "request.invalid").field("payer");
    let wechat = json!({"amount_fen": 1, "provider": "wechat", "scene": "app"});
    let call = member.post(&service, "/wallet/top_up", wechat).key("d");
    call.send()
        .await
        .refused(409, "wallet.provider_off")
        .field("provider");
    assert_eq!(service.number("SELECT count(*) FROM payment_order").await, 0);

    let mut orders = Vec::new();
    for at in 0..20 {
        orders.push(service.order(&member, 1_000_000_000, &format!("e{at}")).await);
    }
    let full = service.try_order(&member, 1, "f").await;
    full.refused(409, "wallet.order_limit_reached");
    service.order(&stranger, 1, "f").await;
    service.press(&orders[0], "pay").await;
    service.order(&member, 1, "g").await;
    // One that has expired does not count, also while nothing has closed it.
    let full = service.try_order(&member, 1, "h").await;
    full.refused(409, "wallet.order_limit_reached");
    let old = "UPDATE payment_order SET created_ms = created_ms - 1800000 WHERE id = $1";
    service
        .rewrite(old, orders[1]["order_id"].as_i64().unwrap())
        .await;
    service.order(&member, 1, "i").await;
    let path = format!("/wallet/order/{}", orders[0]["order_id"]);
    let theirs = stranger.get(&service, &path).send().await;
    theirs.refused(404, "wallet.order_not_found");
}

#[tokio::test]
async fn a_provider_that_plays_tricks_moves_money_once() {
    let service = Service::charging().await;
    let member = service.member("Pat").await;
    let balance = async || service.balance(wallet(&member)).await;
    let state = async |order: &Value| service.order_now(&member, order).await["state"].clone();

    let order = service.order(&member, 100, "twice").await;
    service.press(&order, "twice").await;
    assert_eq!((state(&order).await, balance().await), (json!("paid"), 100));
    let order = service.order(&member, 100, "out of order").await;
    service.press(&order, "out_of_order").await;
    assert_eq!((state(&order).await, balance().await), (json!("paid"), 200));

    let order = service.order(&member, 100, "refuse").await;
    service.press(&order, "refuse").await;
    assert_eq!((state(&order).await, balance().await), (json!("closed"), 200));
    // A refused order cannot be paid any more.
    service.press(&order, "pay").await;
    assert_eq!((state(&order).await, balance().await), (json!("closed"), 200));

    // No notice comes: the app that asks for the order finds it paid.
    let order = service.order(&member, 100, "never").await;
    service.press(&order, "never").await;
    assert_eq!(balance().await, 200);
    assert_eq!((state(&order).await, balance().await), (json!("paid"), 300));

    let order = service.order(&member, 100, "wrong").await;
    service.press(&order, "wrong_amount").await;
    assert_eq!((state(&order).await, balance().await), (json!("open"), 300));
    let refused = "SELECT count(*) FROM payment_notice WHERE outcome = 'amount_differs' AND order_id IS NULL";
    assert_eq!(service.number(refused).await, 1);

    // Closed here, and paid there.
    let order = service.order(&member, 100, "late").await;
    let close = "UPDATE payment_order SET state = 'closed', ask_ms = NULL WHERE id = $1";
    service.rewrite(close, order["order_id"].as_i64().unwrap()).await;
    service.press(&order, "pay").await;
    assert_eq!((state(&order).await, balance().await), (json!("paid"), 400));
    service.balances().await;
}

#[tokio::test]
async fn the_page_of_mockpay_has_no_script_and_is_there_only_where_it_is_on() {
    let service = Service::charging().await;
    let member = service.member("Pat").await;
    let order = service.order(&member, 123_456, "a").await;
    let path = order["ticket"]["page"].as_str().unwrap();
    let page = service.get(path).send().await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("¥ 1234.56") && page.text.contains("支付") && page.text.contains("Refuse"));
    assert!(!page.text.contains("<script") && !page.text.contains("http"));
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; style-src 'nonce-"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"));
    for missing in ["/mockpay/T1X1", "/mockpay/x"] {
        let reply = service.get(missing).send().await;
        reply.refused(404, "wallet.order_not_found");
        let reply = service.post(&format!("{missing}/pay")).send().await;
        reply.refused(404, "wallet.order_not_found");
    }
    let reply = service.post(&format!("{path}/steal")).send().await;
    reply.refused(404, "request.not_found");

    let off = Service::start().await;
    off.get(path).send().await.refused(404, "request.not_found");
    for path in [format!("{path}/pay"), "/payment/mockpay/notice".into()] {
        off.post(&path).send().await.refused(404, "request.not_found");
    }
}
