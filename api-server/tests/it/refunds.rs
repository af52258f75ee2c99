//! Refunds and the commission.

use std::pin::pin;

use database::params;
use ledger::{Account, Fen, Movement, Transfer};
use serde_json::{Value, json};

use super::{
    operators::{acts, operator},
    people::Person,
    scene::{Scene, story},
    service::Reply,
};

impl Scene {
    /// Refunds under a key of its own.
    pub async fn refund(&self, who: &Person, of: &str, key: &str, body: Value) -> Reply {
        let call = who.post(&self.service, &format!("{of}/refund"), body);
        call.key(key).send().await
    }

    /// Takes income away, as a withdrawal does; false when there is less.
    pub async fn take_income(&self, fen: i64) -> bool {
        let id = self.service.database.allocate_id(ledger::SEQUENCE).await.unwrap();
        let transfer = Transfer {
            id,
            movement: Movement::withdraw(id, self.team.id, Fen::new(fen).unwrap()),
            by: None,
            now_ms: 1_800_000_000_000,
        };
        let post = self
            .service
            .database
            .transaction(move |tx| Box::pin(async move { ledger::post(tx, transfer).await }));
        match post.await {
            Ok(_) => true,
            Err(ledger::Error::Insufficient(Account::Income(_))) => false,
            Err(error) => panic!("{error}"),
        }
    }
}

fn because() -> Value {
    json!({"reason": "服务未完成，协商退款"})
}

fn part(fen: i64) -> Value {
    json!({"reason": "服务未完成，协商退款", "amount_fen": fen})
}

/// I6.
// protocol: "Also a conversation that takes no messages may get entries"
#[tokio::test]
async fn a_price_is_refunded_in_parts_and_the_conversation_says_so() {
    let scene = Scene::charging().await;
    scene.service.commission(55).await;
    scene.service.credit(&scene.patient, 11_900).await;
    let consult = scene.charged("a").await;
    let vas = scene.propose(consult).await;
    let (of_vas, of_consult) = (format!("/vas/{vas}"), format!("/consult/{consult}"));
    let owner = &scene.team.owner;
    for of in [&of_vas, &of_consult] {
        scene
            .refund(owner, of, "early", because())
            .await
            .refused(409, "refund.not_charged");
    }
    scene.step(&scene.patient, vas, "confirm").await.result();
    scene.end(&scene.doctor, consult, "finish").await.result();
    assert_eq!((scene.wallet().await, scene.income().await), (0, 9_355 + 1_890));

    let first = scene.refund(owner, &of_vas, "1", part(4_000)).await;
    let shown = first.result();
    assert_eq!(
        first.json,
        json!({
            "success": true, "code": 200,
            "result": {
                "refund_id": shown["refund_id"], "consultation_id": consult, "vas_id": vas, "team_id": scene.team.id,
                "member_id": scene.patient.id, "amount_fen": 4_000, "reason": "服务未完成，协商退款",
                "by_id": owner.id, "created_ms": shown["created_ms"],
            },
        })
    );
    // The same key is the same refund; another body under it is none.
    assert_eq!(
        scene.refund(owner, &of_vas, "1", part(4_000)).await.json,
        first.json
    );
    let reused = scene.refund(owner, &of_vas, "1", part(1)).await;
    reused.refused(422, "idempotency.key_reused");
    assert_eq!(scene.wallet().await, 4_000);
    let refused = scene.refund(owner, &of_vas, "2", part(5_901)).await;
    refused.refused(409, "refund.too_much");
    scene.refund(owner, &of_vas, "3", because()).await.result();
    scene
        .refund(owner, &of_vas, "4", part(1))
        .await
        .refused(409, "refund.too_much");
    scene
        .refund(owner, &of_vas, "5", because())
        .await
        .refused(409, "refund.too_much");
    // All of the price went back, the platform's part included.
    assert_eq!((scene.wallet().await, scene.income().await), (9_900, 1_890));
    scene.refund(owner, &of_consult, "6", part(1_000)).await.result();
    assert_eq!(scene.wallet().await, 10_900);

    let told = story(&scene, consult).await;
    assert_eq!(
        told[told.len() - 4..],
        [
            "finished false".to_owned(),
            format!("refunded 4000 of {vas}"),
            format!("refunded 5900 of {vas}"),
            "refunded 1000 of 0".to_owned(),
        ]
    );
    let shown = scene.get(&scene.patient, of_vas).await.result();
    assert_eq!(shown["refunded_fen"], 9_900);
    let list = scene
        .get(&scene.patient, format!("{of_consult}/refund_list?count=true"))
        .await;
    let items = list.json["result"].as_array().unwrap();
    let amounts: Vec<&Value> = items.iter().map(|item| &item["amount_fen"]).collect();
    assert_eq!(
        (amounts, &list.json["total"]),
        (vec![&json!(1_000), &json!(5_900), &json!(4_000)], &json!(3))
    );
    assert_eq!(items[0].get("vas_id"), None);
    // The sum that was earned, less refunds.
    let history = scene
        .get(&scene.doctor, format!("/team/{}/consult_history", scene.team.id))
        .await;
    assert_eq!(history.result()["total_income_fen"], scene.income().await);
    scene.service.balances().await;
}

#[tokio::test]
async fn a_refund_is_the_owners_and_the_operators() {
    let scene = Scene::charging().await;
    scene.service.credit(&scene.patient, 2_000).await;
    let consult = scene.charged("a").await;
    scene.end(&scene.doctor, consult, "finish").await.result();
    let of = format!("/consult/{consult}");
    for seated in [&scene.patient, &scene.doctor, &scene.team.assistant] {
        scene
            .refund(seated, &of, "1", because())
            .await
            .refused(403, "refund.forbidden");
        scene.get(seated, format!("{of}/refund_list")).await.result();
    }
    let stranger = scene.service.member("Sam").await;
    let colleague = scene.service.doctor_of(&scene.team, "Dr. C").await;
    for other in [&stranger, &colleague] {
        scene
            .refund(other, &of, "1", because())
            .await
            .refused(404, "consult.not_found");
        let list = scene.get(other, format!("{of}/refund_list")).await;
        list.refused(404, "consult.not_found");
    }
    let keyless = scene
        .post(&scene.team.owner, format!("{of}/refund"), because())
        .await;
    keyless
        .refused(400, "idempotency.key_required")
        .field("Idempotency-Key");
    for bad in [
        json!(0),
        json!(-1),
        json!(1.5),
        json!("1"),
        json!(1_000_000_001),
        json!(i64::MAX),
    ] {
        let body = json!({"reason": "服务未完成", "amount_fen": bad});
        let refused = scene.refund(&scene.team.owner, &of, "bad", body).await;
        refused.refused(400, "request.invalid").field("amount_fen");
    }
    let (operator, _) = operator(&scene.service, "张伟").await;
    scene.refund(&operator, &of, "1", part(500)).await.result();
    let acts = acts(&scene.service, &operator).await;
    let act = &acts[0];
    assert_eq!(
        (&act["act"], &act["consultation_id"]),
        (&json!("price_refunded"), &json!(consult))
    );
    assert_eq!(
        (&act["account_id"], &act["reason"]),
        (&json!(scene.patient.id), &because()["reason"])
    );
    assert_eq!(
        scene.get(&operator, format!("{of}/refund_list")).await.result()[0]["amount_fen"],
        500
    );
    scene.service.balances().await;
}

#[tokio::test]
async fn a_refund_needs_income_and_a_cancelled_price_is_none() {
    let scene = Scene::charging().await;
    scene.service.credit(&scene.patient, 4_000).await;
    let (finished, cancelled) = (scene.charged("a").await, scene.charged("b").await);
    scene.end(&scene.doctor, finished, "finish").await.result();
    scene.end(&scene.patient, cancelled, "cancel").await.result();
    assert!(scene.take_income(1_500).await);
    let (owner, of) = (&scene.team.owner, format!("/consult/{finished}"));
    scene
        .refund(owner, &of, "1", part(501))
        .await
        .refused(409, "income.insufficient");
    scene.refund(owner, &of, "2", part(500)).await.result();
    assert_eq!((scene.wallet().await, scene.income().await), (2_500, 0));
    let none = scene
        .refund(owner, &format!("/consult/{cancelled}"), "3", because())
        .await;
    none.refused(409, "refund.not_charged");
    let held = scene.service.balance(Account::Held(cancelled)).await;
    assert_eq!(
        (held, scene.service.number("SELECT count(*) FROM refund").await),
        (0, 1)
    );
    scene.service.balances().await;
}

#[tokio::test]
async fn a_commission_begins_in_the_future() {
    let scene = Scene::charging().await;
    let (operator, _) = operator(&scene.service, "张伟").await;
    let set = async |who: &Person, body: Value| scene.post(who, "/operator/commission".into(), body).await;
    let (far, later) = (9_000_000_000_000_i64, 9_000_000_000_001_i64);
    set(&scene.team.owner, json!({"per_mille": 1, "from_ms": far}))
        .await
        .refused(403, "operator.only");
    for past in [1, 1_700_000_000_000_i64] {
        let refused = set(&operator, json!({"per_mille": 1, "from_ms": past})).await;
        refused.refused(409, "commission.past").field("from_ms");
    }
    for (bad, field) in [
        (json!({"per_mille": 1001, "from_ms": far}), "per_mille"),
        (json!({"per_mille": -1, "from_ms": far}), "per_mille"),
        (json!({"per_mille": 0.5, "from_ms": far}), "per_mille"),
        (json!({"per_mille": 1}), "from_ms"),
    ] {
        set(&operator, bad)
            .await
            .refused(400, "request.invalid")
            .field(field);
    }
    let first = set(&operator, json!({"per_mille": 50, "from_ms": far})).await;
    let shown = first.result();
    let whole =
        json!({"per_mille": 50, "from_ms": far, "by_id": operator.id, "created_ms": shown["created_ms"]});
    assert_eq!(shown, whole);
    assert_eq!(
        set(&operator, json!({"per_mille": 50, "from_ms": far}))
            .await
            .json,
        first.json
    );
    set(&operator, json!({"per_mille": 60, "from_ms": later}))
        .await
        .result();
    set(&operator, json!({"per_mille": 70, "from_ms": far}))
        .await
        .result();
    let list = scene
        .get(&operator, "/operator/commission_list?count=true&limit=1".into())
        .await;
    assert_eq!(
        (&list.json["result"][0]["per_mille"], &list.json["total"]),
        (&json!(60), &json!(2))
    );
    let cursor = list.json["next_cursor"].as_str().unwrap();
    let next = scene
        .get(&operator, format!("/operator/commission_list?cursor={cursor}"))
        .await;
    assert_eq!(next.result()[0]["per_mille"], 70);
    let acts = acts(&scene.service, &operator).await;
    let set: Vec<&Value> = acts.iter().filter(|act| act["act"] == "commission_set").collect();
    assert_eq!(set.len(), 3);
    assert_eq!(
        (&set[0]["reason"], &set[0]["subject"]),
        (&json!("70 ‰"), &json!(format!("commission:{far}")))
    );
}

/// The handover is written and not committed yet when the refund comes. Its transaction holds a thread meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refund_that_races_a_handover_is_the_new_owners() {
    let scene = Scene::charging().await;
    let service = &scene.service;
    service.credit(&scene.patient, 2_000).await;
    let consult = scene.charged("a").await;
    scene.end(&scene.doctor, consult, "finish").await.result();
    let (team, to) = (scene.team.id, scene.doctor.id);
    let sql = "UPDATE team SET owner_id = $1 WHERE id = $2";
    let handover = service.hold(sql, params![to, team]).await;
    let of = format!("/consult/{consult}");
    let mut refund = pin!(scene.refund(&scene.team.owner, &of, "1", because()));
    tokio::select! {
        reply = &mut refund => panic!("the refund did not wait: {}", reply.text),
        () = service.a_request_waits() => {}
    }
    handover.commit().await;
    refund.await.refused(404, "consult.not_found");
    assert_eq!((scene.wallet().await, scene.income().await), (0, 2_000));
    scene.refund(&scene.doctor, &of, "2", because()).await.result();
    assert_eq!((scene.wallet().await, scene.income().await), (2_000, 0));
}

#[tokio::test]
async fn a_price_does_not_go_back_to_a_closed_account() {
    let scene = Scene::charging().await;
    let service = &scene.service;
    service.credit(&scene.patient, 2_000 + 9_900).await;
    let consult = scene.charged("a").await;
    let vas = scene.propose(consult).await;
    scene.step(&scene.patient, vas, "confirm").await.result();
    scene.end(&scene.doctor, consult, "finish").await.result();
    let (operator, _) = operator(service, "张伟").await;
    let income = scene.income().await;
    let set = async |sql: &'static str| service.rewrite(sql, scene.patient.id).await;
    set("UPDATE account SET closed_ms = 1 WHERE id = $1").await;
    for (at, of) in [format!("/consult/{consult}"), format!("/vas/{vas}")]
        .iter()
        .enumerate()
    {
        for who in [&scene.team.owner, &operator] {
            let refused = scene.refund(who, of, &format!("{at}"), because()).await;
            refused.refused(409, "account.closed");
        }
    }
    assert_eq!((scene.wallet().await, scene.income().await), (0, income));
    assert_eq!(service.number("SELECT count(*) FROM refund").await, 0);
    set("UPDATE account SET closed_ms = NULL WHERE id = $1").await;
    let of = format!("/consult/{consult}");
    scene.refund(&operator, &of, "open", because()).await.result();
    assert_eq!(scene.wallet().await, 2_000);
    service.reconciles().await;
}
