//! The way back: unspent balance to the orders that it came from.

use database::params;
use ledger::{Fen, Movement, Outside, Transfer};
use proto::UserId;
use serde_json::{Value, json};

use super::{
    money::wallet,
    people::Person,
    scene::Scene,
    service::{Reply, Service},
};

impl Service {
    /// An order that was paid.
    pub async fn paid_order(&self, who: &Person, fen: i64, key: &str) -> Value {
        let order = self.order(who, fen, key).await;
        self.press(&order, "pay").await;
        order
    }

    pub async fn pay_back(&self, who: &Person, fen: i64, key: &str) -> Reply {
        let body = json!({"amount_fen": fen});
        who.post(self, "/wallet/refund", body).key(key).send().await
    }
}

/// I6.
#[tokio::test]
async fn unspent_balance_goes_back_to_the_newest_orders() {
    let service = Service::charging().await;
    let member = service.member("Pat").await;
    let first = service.paid_order(&member, 100, "a").await;
    let second = service.paid_order(&member, 50, "b").await;
    let open = service.order(&member, 1_000, "c").await;
    let asked = service.pay_back(&member, 70, "d").await;
    let result = asked.result();
    let part = |at: usize, order: &Value, fen: i64| {
        json!({
            "refund_id": result["refunds"][at]["refund_id"], "order_id": order["order_id"], "provider": "mockpay",
            "amount_fen": fen, "state": "asked", "created_ms": result["refunds"][at]["created_ms"],
        })
    };
    let whole = json!({
        "success": true, "code": 200,
        "result": {"amount_fen": 70, "refunds": [part(0, &second, 50), part(1, &first, 20)]},
    });
    assert_eq!(asked.json, whole);
    assert_eq!(service.balance(wallet(&member)).await, 80);
    assert_eq!(
        service.pay_back(&member, 70, "d").await.json,
        whole,
        "once for a key"
    );
    service
        .pay_back(&member, 71, "d")
        .await
        .refused(422, "idempotency.key_reused");
    assert_eq!(service.balance(wallet(&member)).await, 80);
    for (order, refunded) in [(&first, 20), (&second, 50), (&open, 0)] {
        assert_eq!(service.order_now(&member, order).await["refunded_fen"], refunded);
    }
    let too_much = service.pay_back(&member, 81, "e").await;
    too_much.refused(409, "wallet.not_refundable");
    // A credit by hand came from no order.
    service.credit(&member, 500).await;
    service
        .pay_back(&member, 81, "f")
        .await
        .refused(409, "wallet.not_refundable");
    service.pay_back(&member, 80, "g").await.result();
    assert_eq!(service.balance(wallet(&member)).await, 500);
    let list = member
        .get(&service, "/wallet/refund_list?count=true")
        .send()
        .await;
    assert_eq!(list.json["total"], 3);
    let fen: i64 = list
        .result()
        .as_array()
        .unwrap()
        .iter()
        .map(|refund| refund["amount_fen"].as_i64().unwrap())
        .sum();
    assert_eq!(fen, 150);
    service.balances().await;
}

#[tokio::test]
async fn what_was_spent_does_not_go_back() {
    let scene = Scene::charging().await;
    let (service, member) = (&scene.service, &scene.patient);
    service.paid_order(member, 3_000, "a").await;
    scene.charged("b").await;
    assert_eq!(scene.wallet().await, 1_000);
    service
        .pay_back(member, 1_001, "c")
        .await
        .refused(402, "wallet.insufficient");
    assert_eq!(scene.wallet().await, 1_000);
    let refunded = "SELECT CAST(sum(refunded_fen) AS BIGINT) FROM payment_order";
    assert_eq!(service.number(refunded).await, 0);
    assert_eq!(service.number("SELECT count(*) FROM payment_refund").await, 0);
    service.pay_back(member, 1_000, "d").await.result();
    assert_eq!(scene.wallet().await, 0);
    for (at, amount) in [json!(0), json!(-1), json!(1.5), json!("1"), json!(i64::MAX)]
        .into_iter()
        .enumerate()
    {
        let body = json!({"amount_fen": amount});
        let call = member
            .post(service, "/wallet/refund", body)
            .key(&format!("e{at}"));
        call.send()
            .await
            .refused(400, "request.invalid")
            .field("amount_fen");
    }
    let call = member.post(service, "/wallet/refund", json!({"amount_fen": 1}));
    call.send().await.refused(400, "idempotency.key_required");
    service.balances().await;
}

/// I6.
#[tokio::test]
async fn of_racing_refunds_the_balance_decides() {
    let service = Service::charging().await;
    let beside = service.beside().await;
    let member = service.member("Pat").await;
    for round in 0..5 {
        service.paid_order(&member, 100, &format!("o{round}")).await;
        let calls = (0..10).map(|at| {
            let to = if at % 2 == 0 { &service } else { &beside };
            let member = &member;
            async move { to.pay_back(member, 60, &format!("r{round}-{at}")).await }
        });
        let replies = futures_util::future::join_all(calls).await;
        let won = replies.iter().filter(|reply| reply.status == 200).count();
        assert_eq!(won, 1);
        for reply in replies.iter().filter(|reply| reply.status != 200) {
            reply.refused(409, "wallet.not_refundable");
        }
        assert_eq!(service.balance(wallet(&member)).await, 40);
        service.pay_back(&member, 40, &format!("s{round}")).await.result();
    }
    service.balances().await;
}

/// A refund that background work leaves alone.
async fn planted(service: &Service, member: &Person, order: &Value, fen: i64) -> String {
    const CREATED_MS: i64 = 1_796_000_000_000;
    let id = service.database.allocate_id("payment_refund").await.unwrap();
    let transfer = service.database.allocate_id(ledger::SEQUENCE).await.unwrap();
    let user = UserId::from_database(member.id);
    let order = order["order_id"].as_i64().unwrap();
    service
        .database
        .transaction(move |tx| {
            Box::pin(async move {
                tx.execute(
                    "INSERT INTO payment_refund (id, user_id, order_id, provider, amount_fen, state, created_ms, asked)
                     VALUES ($1, $2, $3, 'mockpay', $4, 'asked', $5, 0)",
                    params![id, user.get(), order, fen, CREATED_MS],
                )
                .await?;
                tx.execute("UPDATE payment_order SET refunded_fen = refunded_fen + $1 WHERE id = $2", params![fen, order])
                    .await?;
                let movement = Movement::pay_back(id, Outside::Mockpay, user, Fen::new(fen).unwrap());
                let transfer = Transfer {
                    id: transfer,
                    movement,
                    by: Some(user),
                    now_ms: CREATED_MS,
                };
                ledger::post(tx, transfer).await
            })
        })
        .await
        .unwrap();
    format!("R{CREATED_MS}X{id}")
}

/// I6. A refund ends once, by the first word of its provider.
#[tokio::test]
async fn a_refund_ends_by_its_notice() {
    let service = Service::charging().await;
    let member = service.member("Pat").await;
    let order = service.paid_order(&member, 100, "a").await;
    let done = |number: &str, fen: i64| json!({"refunded": {"out_refund_no": number, "amount_fen": fen}});
    let failed = |number: &str| json!({"refund_failed": {"out_refund_no": number, "reason": "账户已注销"}});
    let send = async |id: &str, event: Value, status: u16| {
        let reply = service.notice(id, event).await.send(&service).await;
        assert_eq!(reply.status, status, "{}", reply.text);
        service.balance(wallet(&member)).await
    };
    let number = planted(&service, &member, &order, 60).await;
    assert_eq!(send("a", done(&number, 61), 500).await, 40);
    assert_eq!(send("b", done(&number, 60), 200).await, 40);
    assert_eq!(send("c", failed(&number), 200).await, 40);
    let number = planted(&service, &member, &order, 30).await;
    for id in ["d", "d", "e"] {
        assert_eq!(send(id, failed(&number), 200).await, 40);
    }
    assert_eq!(send("f", done(&number, 30), 200).await, 40);
    let list = member.get(&service, "/wallet/refund_list").send().await.result();
    let refund = |at: usize, fen: i64, state: &str| {
        let mut refund = list[at].clone();
        assert!(refund["ended_ms"].is_i64());
        refund
            .as_object_mut()
            .unwrap()
            .retain(|name, _| !name.ends_with("_ms") && !name.ends_with("_id"));
        let mut expected = json!({"provider": "mockpay", "amount_fen": fen, "state": state});
        if state == "failed" {
            expected["failure"] = "账户已注销".into();
        }
        assert_eq!(refund, expected);
    };
    refund(0, 30, "failed");
    refund(1, 60, "done");
    assert_eq!(service.order_now(&member, &order).await["refunded_fen"], 60);
    service.balances().await;
}

#[tokio::test]
async fn a_balance_from_many_orders_goes_back_in_several_requests() {
    let service = Service::charging().await;
    let member = service.member("Pat").await;
    for at in 0..21 {
        service.paid_order(&member, 100 + at, &format!("o{at}")).await;
    }
    let whole = 21 * 100 + (0..21).sum::<i64>();
    assert_eq!(service.balance(wallet(&member)).await, whole);
    // The newest 20 are all but the first one.
    let at_once = whole - 100;
    for (at, fen) in [whole, at_once + 1].into_iter().enumerate() {
        let refused = service.pay_back(&member, fen, &format!("a{at}")).await;
        refused.refused(409, "wallet.refund_limit_reached");
        assert_eq!(refused.json["refundable_fen"], at_once);
        let message = refused.json["message"].as_str().unwrap();
        assert!(
            message.contains("20 笔") && message.contains("22.10 元"),
            "{message}"
        );
    }
    let too_much = service.pay_back(&member, whole + 1, "b").await;
    too_much.refused(409, "wallet.not_refundable");
    assert_eq!(service.balance(wallet(&member)).await, whole);
    assert_eq!(service.number("SELECT count(*) FROM payment_refund").await, 0);
    let asked = service.pay_back(&member, at_once, "c").await.result();
    assert_eq!(asked["refunds"].as_array().unwrap().len(), 20);
    service.pay_back(&member, 100, "d").await.result();
    assert_eq!(service.balance(wallet(&member)).await, 0);
    service.reconciles().await;
}

/// Nothing would hand it over.
#[tokio::test]
async fn balance_goes_back_by_providers_that_are_offered_only() {
    let service = Service::charging().await;
    let member = service.member("Pat").await;
    service.paid_order(&member, 100, "a").await;
    let other = service.paid_order(&member, 50, "b").await;
    let off = "UPDATE payment_order SET provider = 'wechat' WHERE id = $1";
    service.rewrite(off, other["order_id"].as_i64().unwrap()).await;
    for (at, fen) in [150, 101].into_iter().enumerate() {
        let refused = service.pay_back(&member, fen, &format!("c{at}")).await;
        refused.refused(409, "wallet.provider_off");
        assert_eq!(refused.json["refundable_fen"], 100);
    }
    assert_eq!(service.balance(wallet(&member)).await, 150);
    let asked = service.pay_back(&member, 100, "d").await.result();
    assert_eq!(asked["refunds"][0]["provider"], "mockpay");
    let refused = service.pay_back(&member, 1, "e").await;
    refused.refused(409, "wallet.provider_off");
    assert_eq!(refused.json["refundable_fen"], 0);
    service
        .pay_back(&member, 51, "f")
        .await
        .refused(409, "wallet.not_refundable");
    assert_eq!(service.balance(wallet(&member)).await, 50);
    let of_others = "SELECT count(*) FROM payment_refund WHERE provider <> 'mockpay'";
    assert_eq!(service.number(of_others).await, 0);
    service.balances().await;
}
