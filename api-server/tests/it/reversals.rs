//! Reversals: one operator asks, another decides; each posting of a transfer goes back, once, and never below zero.

use serde_json::{Value, json};

use super::{
    money::{fee, wallet},
    operators::{acts, operator},
    people::Person,
    scene::Scene,
    service::{Reply, Service},
};

const REASON: &str = "人工入账重复，工单 2026-118";

impl Service {
    /// The newest transfer of a kind.
    pub async fn newest(&self, kind: &'static str) -> i64 {
        let sql = "SELECT id FROM transfer WHERE kind = $1 ORDER BY id DESC LIMIT 1";
        let row = self.database.query_first(sql, database::params![kind]).await;
        row.unwrap().unwrap().get(0).unwrap()
    }

    pub async fn ask_reversal(&self, who: &Person, transfer: i64) -> Reply {
        let path = format!("/operator/transfer/{transfer}/reverse");
        who.post(self, &path, json!({"reason": REASON})).send().await
    }

    async fn decide_reversal(&self, who: &Person, reversal: &Value, how: &str) -> Reply {
        let path = format!("/operator/reversal/{}/{how}", reversal["reversal_id"]);
        who.post(self, &path, json!({})).send().await
    }

    /// Reverses the newest transfer of a kind.
    pub async fn reverse(&self, (asks, decides): (&Person, &Person), kind: &'static str) -> Reply {
        let transfer = self.newest(kind).await;
        let asked = self.ask_reversal(asks, transfer).await.result();
        self.decide_reversal(decides, &asked, "approve").await
    }
}

/// A charging scene and two operators.
async fn scene() -> (Scene, Person, Person) {
    let scene = Scene::charging().await;
    let (first, _) = operator(&scene.service, "张伟").await;
    let (second, _) = operator(&scene.service, "刘洋").await;
    (scene, first, second)
}

/// I6.
#[tokio::test]
async fn a_reversal_needs_two_operators_and_happens_once() {
    let (scene, first, second) = scene().await;
    let (service, member) = (&scene.service, &scene.patient);
    service.credit(member, 5_000).await;
    let transfer = service.newest("credit").await;
    let asked = service.ask_reversal(&first, transfer).await;
    let shown = asked.result();
    let mut whole = json!({
        "reversal_id": shown["reversal_id"], "transfer_id": transfer, "kind": "credit", "cause": shown["cause"],
        "user_id": member.id, "amount_fen": -5_000, "reason": REASON, "state": "asked", "asked_by": first.id,
        "asked_ms": shown["asked_ms"],
    });
    assert_eq!(shown, whole);
    for who in [&first, &second] {
        service
            .ask_reversal(who, transfer)
            .await
            .refused(409, "reversal.asked");
    }
    for how in ["approve", "refuse"] {
        service
            .decide_reversal(&first, &shown, how)
            .await
            .refused(403, "operator.own_approval");
    }
    // Refused: nothing moved, and it may be asked for again.
    let refused = service.decide_reversal(&second, &shown, "refuse").await.result();
    assert_eq!(refused["state"], "refused");
    assert_eq!(service.balance(wallet(member)).await, 5_000);
    let shown = service.ask_reversal(&first, transfer).await.result();
    let approved = service.decide_reversal(&second, &shown, "approve").await.result();
    for field in ["reversal_id", "asked_ms"] {
        whole[field] = shown[field].clone();
    }
    whole["state"] = "approved".into();
    whole["ended_by"] = second.id.into();
    whole["ended_ms"] = approved["ended_ms"].clone();
    assert_eq!(approved, whole);
    assert_eq!(service.balance(wallet(member)).await, 0);
    let again = service.decide_reversal(&second, &shown, "approve").await;
    assert_eq!(again.result(), whole);
    service
        .decide_reversal(&second, &shown, "refuse")
        .await
        .refused(409, "reversal.ended");
    service
        .ask_reversal(&second, transfer)
        .await
        .refused(409, "reversal.asked");
    assert_eq!(service.number("SELECT count(*) FROM transfer").await, 2);

    let list = first
        .get(service, "/operator/reversal_list?count=true")
        .send()
        .await;
    assert_eq!((&list.json["total"], &list.result()[0]), (&json!(2), &whole));
    let record = member
        .get(service, "/member/consumption_list")
        .send()
        .await
        .result();
    assert_eq!(
        (
            &record[0]["kind"],
            &record[0]["amount_fen"],
            &record[0]["balance_fen"]
        ),
        (&json!("reversal"), &json!(-5_000), &json!(0))
    );
    let log = acts(service, &first).await;
    let logged: Vec<(&str, &Value, &Value)> = log[..4]
        .iter()
        .map(|act| (act["act"].as_str().unwrap(), &act["account_id"], &act["reason"]))
        .collect();
    let (id, reason, none) = (json!(member.id), json!(REASON), json!(""));
    assert_eq!(
        logged,
        [
            ("reversal_approved", &id, &none),
            ("reversal_asked", &id, &reason),
            ("reversal_refused", &id, &none),
            ("reversal_asked", &id, &reason),
        ]
    );
    assert_eq!(log[0]["subject"], format!("reversal:{}", shown["reversal_id"]));
    service.reconciles().await;
}

/// I6.
#[tokio::test]
async fn a_reversal_takes_no_account_below_zero() {
    let (scene, first, second) = scene().await;
    let (service, member) = (&scene.service, &scene.patient);
    service.credit(member, 5_000).await;
    let transfer = service.newest("credit").await;
    let asked = service.ask_reversal(&first, transfer).await.result();
    let consult = scene.charged("a").await;
    let refused = service.decide_reversal(&second, &asked, "approve").await;
    refused.refused(409, "reversal.insufficient");
    assert_eq!(scene.wallet().await, 3_000);
    let list = first
        .get(service, "/operator/reversal_list")
        .send()
        .await
        .result();
    assert_eq!(list[0], asked, "still to be decided");
    assert_eq!(acts(service, &first).await[0]["act"], "reversal_asked");
    scene.end(member, consult, "cancel").await.result();
    service.decide_reversal(&second, &asked, "approve").await.result();
    assert_eq!(scene.wallet().await, 0);

    // A fee that is spent in part.
    service.credit(member, 10_000).await;
    scene.join(member, 1).await.result();
    let consult = scene.charged("b").await;
    let transfer = service.newest("join").await;
    let asked = service.ask_reversal(&first, transfer).await.result();
    let refused = service.decide_reversal(&second, &asked, "approve").await;
    refused.refused(409, "reversal.insufficient");
    scene.end(member, consult, "cancel").await.result();
    // It would go into a wallet that nobody can open any more.
    let close = "UPDATE account SET closed_ms = 1 WHERE id = $1";
    service.rewrite(close, member.id).await;
    let refused = service.decide_reversal(&second, &asked, "approve").await;
    refused.refused(409, "account.closed");
    let open = "UPDATE account SET closed_ms = NULL WHERE id = $1";
    service.rewrite(open, member.id).await;
    service.decide_reversal(&second, &asked, "approve").await.result();
    let rest = service.balance(fee(&scene.team, member)).await;
    assert_eq!((rest, scene.wallet().await), (0, 10_000));
    // They are in the team without a fee; leaving moves nothing.
    scene.leave(member).await.result();
    assert_eq!(scene.wallet().await, 10_000);
    service.reconciles().await;
}

/// I6: what is taken back of an order is not paid back as well.
#[tokio::test]
async fn a_top_up_is_reversed_or_paid_back() {
    let (scene, first, second) = scene().await;
    let (service, member) = (&scene.service, &scene.patient);
    let order = service.paid_order(member, 100, "a").await;
    service.credit(member, 1_000).await;
    service.reverse((&first, &second), "top_up").await.result();
    assert_eq!(scene.wallet().await, 1_000);
    let now = service.order_now(member, &order).await;
    assert_eq!(
        (&now["state"], &now["refunded_fen"]),
        (&json!("paid"), &json!(100))
    );
    let refused = service.pay_back(member, 1, "b").await;
    refused.refused(409, "wallet.not_refundable");

    service.paid_order(member, 100, "c").await;
    service.pay_back(member, 1, "d").await.result();
    let refused = service.reverse((&first, &second), "top_up").await;
    refused.refused(409, "reversal.not_reversible");
    assert_eq!(scene.wallet().await, 1_099);
    service.reconciles().await;
}

/// I6.
#[tokio::test]
async fn a_refund_is_reversed_and_the_income_is_back() {
    let (scene, first, second) = scene().await;
    let (service, member) = (&scene.service, &scene.patient);
    service.commission(100).await;
    service.credit(member, 2_000).await;
    let consult = scene.charged("a").await;
    scene.end(&scene.doctor, consult, "finish").await.result();
    let of = format!("/consult/{consult}");
    let body = json!({"reason": "退错了病人", "amount_fen": 500});
    scene.refund(&scene.team.owner, &of, "b", body).await.result();
    assert_eq!((scene.wallet().await, scene.income().await), (500, 1_350));
    service.reverse((&first, &second), "refund").await.result();
    assert_eq!((scene.wallet().await, scene.income().await), (0, 1_800));
    // The refund stays in its record: what was refunded once is not refunded again.
    let body = json!({"reason": "退错了病人", "amount_fen": 1_501});
    let refused = scene.refund(&scene.team.owner, &of, "c", body).await;
    refused.refused(409, "refund.too_much");
    service.reconciles().await;
}

#[tokio::test]
async fn transfers_with_a_record_of_their_own_are_not_reversed() {
    let (scene, first, second) = scene().await;
    let (service, member) = (&scene.service, &scene.patient);
    service.credit(member, 40_000).await;
    service.reverse((&first, &second), "credit").await.result();
    service.credit(member, 40_000).await;
    scene.join(member, 1).await.result();
    let consult = scene.charged("a").await;
    let vas = scene.propose(consult).await;
    scene.step(member, vas, "confirm").await.result();
    scene.end(&scene.doctor, consult, "finish").await.result();
    let consult = scene.charged("b").await;
    scene.end(member, consult, "cancel").await.result();
    scene.leave(member).await.result();
    for kind in ["begin", "finish", "cancel", "vas", "leave", "reversal"] {
        let transfer = service.newest(kind).await;
        let refused = service.ask_reversal(&first, transfer).await;
        refused.refused(409, "reversal.not_reversible");
    }
    service
        .ask_reversal(&first, 999_999)
        .await
        .refused(404, "transfer.not_found");
    let none = json!({"reversal_id": 999_999});
    for how in ["approve", "refuse"] {
        let refused = service.decide_reversal(&first, &none, how).await;
        refused.refused(404, "reversal.not_found");
    }
    let transfer = service.newest("credit").await;
    let path = format!("/operator/transfer/{transfer}/reverse");
    for body in [json!({}), json!({"reason": "abc"}), json!({"reason": ""})] {
        let refused = first.post(service, &path, body).send().await;
        refused.refused(400, "request.invalid").field("reason");
    }
    assert_eq!(service.number("SELECT count(*) FROM reversal").await, 1);
    service.reconciles().await;
}
