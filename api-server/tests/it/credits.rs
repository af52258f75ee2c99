//! Credits by hand: one operator asks, another decides.

use serde_json::{Value, json};

use super::{
    money::wallet,
    operators::operator,
    people::Person,
    service::{Reply, Service},
};

async fn ask(service: &Service, who: &Person, member: &Person, key: &str) -> Value {
    let body = json!({"user_id": member.id, "amount_fen": 5_000, "reason": "重复扣款补偿，工单 2026-118"});
    let call = who.post(service, "/operator/credit", body).key(key);
    call.send().await.result()
}

async fn step(service: &Service, who: &Person, credit: &Value, step: &str) -> Reply {
    let path = format!("/operator/credit/{}/{step}", credit["credit_id"]);
    who.post(service, &path, json!({})).send().await
}

/// I6.
#[tokio::test]
async fn a_credit_needs_two_operators() {
    let service = Service::start().await;
    let (first, _) = operator(&service, "张伟").await;
    let (second, _) = operator(&service, "刘洋").await;
    let (third, _) = operator(&service, "陈静").await;
    let member = service.member("李女士").await;
    let asked = ask(&service, &first, &member, "a").await;
    let mut whole = json!({
        "credit_id": asked["credit_id"], "user_id": member.id, "amount_fen": 5_000, "reason": "重复扣款补偿，工单 2026-118",
        "state": "asked", "asked_by": first.id, "asked_ms": asked["asked_ms"],
    });
    assert_eq!(asked, whole);
    assert_eq!(ask(&service, &first, &member, "a").await, whole, "once for a key");
    for how in ["approve", "refuse"] {
        step(&service, &first, &asked, how)
            .await
            .refused(403, "operator.own_approval");
    }
    assert_eq!(service.balance(wallet(&member)).await, 0);
    let approved = step(&service, &second, &asked, "approve").await.result();
    whole["state"] = "approved".into();
    whole["ended_by"] = second.id.into();
    whole["ended_ms"] = approved["ended_ms"].clone();
    assert_eq!(approved, whole);
    assert_eq!(step(&service, &second, &asked, "approve").await.result(), whole);
    step(&service, &second, &asked, "refuse")
        .await
        .refused(409, "credit.ended");
    step(&service, &third, &asked, "approve")
        .await
        .refused(409, "credit.ended");
    assert_eq!(service.balance(wallet(&member)).await, 5_000);

    let refused = ask(&service, &second, &member, "b").await;
    assert_eq!(
        step(&service, &first, &refused, "refuse").await.result()["state"],
        "refused"
    );
    step(&service, &first, &refused, "approve")
        .await
        .refused(409, "credit.ended");
    assert_eq!(service.balance(wallet(&member)).await, 5_000);
    let list = first
        .get(&service, "/operator/credit_list?count=true")
        .send()
        .await;
    assert_eq!((&list.json["total"], &list.result()[1]), (&json!(2), &whole));
    let record = member
        .get(&service, "/member/consumption_list")
        .send()
        .await
        .result();
    assert_eq!(
        record,
        json!([{
            "transfer_id": record[0]["transfer_id"], "kind": "credit", "amount_fen": 5_000, "fee_fen": 0, "consumed_fen": 0,
            "balance_fen": 5_000, "created_ms": approved["ended_ms"], "credit_id": asked["credit_id"],
            "reason": "重复扣款补偿，工单 2026-118",
        }])
    );
    let log = first.get(&service, "/operator/audit").send().await.result();
    let acts: Vec<(&str, &Value)> = log.as_array().unwrap()[..4]
        .iter()
        .map(|item| (item["act"].as_str().unwrap(), &item["account_id"]))
        .collect();
    let id = json!(member.id);
    assert_eq!(
        acts,
        [
            ("credit_refused", &id),
            ("credit_asked", &id),
            ("credit_approved", &id),
            ("credit_asked", &id)
        ]
    );
    service.balances().await;
}

#[tokio::test]
async fn a_credit_is_for_a_member_and_of_an_amount() {
    let service = Service::start().await;
    let (operator, _) = operator(&service, "张伟").await;
    let member = service.member("Pat").await;
    let doctor = service.doctor("Dr. B").await;
    for (at, (field, value)) in [
        ("amount_fen", json!(0)),
        ("amount_fen", json!(-5)),
        ("amount_fen", json!(0.5)),
        ("amount_fen", json!("5")),
        ("amount_fen", json!(i64::MAX)),
        ("reason", json!("x")),
        ("user_id", json!(0)),
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = json!({"user_id": member.id, "amount_fen": 1, "reason": "a test of credits"});
        body[field] = value;
        let call = operator
            .post(&service, "/operator/credit", body)
            .key(&format!("a{at}"));
        call.send().await.refused(400, "request.invalid").field(field);
    }
    for (at, user) in [doctor.id, operator.id, 999_999].into_iter().enumerate() {
        let body = json!({"user_id": user, "amount_fen": 1, "reason": "a test of credits"});
        let call = operator
            .post(&service, "/operator/credit", body)
            .key(&format!("b{at}"));
        call.send()
            .await
            .refused(404, "operator.person_not_found")
            .field("user_id");
    }
    let body = json!({"user_id": member.id, "amount_fen": 1, "reason": "a test of credits"});
    let call = operator.post(&service, "/operator/credit", body);
    call.send().await.refused(400, "idempotency.key_required");
    let none = json!({"credit_id": 999_999});
    step(&service, &operator, &none, "approve")
        .await
        .refused(404, "credit.not_found");
    assert_eq!(service.number("SELECT count(*) FROM credit").await, 0);
}

/// I6.
#[tokio::test]
async fn of_racing_decisions_one_wins() {
    let service = Service::start().await;
    let beside = service.beside().await;
    let (first, _) = operator(&service, "张伟").await;
    let (second, _) = operator(&service, "刘洋").await;
    let (third, _) = operator(&service, "陈静").await;
    let member = service.member("Pat").await;
    let mut expected = 0;
    for round in 0..6 {
        let credit = ask(&service, &first, &member, &format!("k{round}")).await;
        let calls = (0..10).map(|at| {
            let (to, who) = if at % 2 == 0 {
                (&service, &second)
            } else {
                (&beside, &third)
            };
            let how = if (at + round) % 3 == 0 {
                "refuse"
            } else {
                "approve"
            };
            let credit = &credit;
            async move { (how, who.id, step(to, who, credit, how).await) }
        });
        let replies = futures_util::future::join_all(calls).await;
        let list = first.get(&service, "/operator/credit_list").send().await.result();
        let ended = &list[0];
        for (how, by, reply) in &replies {
            let won = ended["state"].as_str().unwrap().starts_with(&how[..6]) && ended["ended_by"] == *by;
            if won {
                assert_eq!(&reply.result(), ended);
            } else {
                reply.refused(409, "credit.ended");
            }
        }
        if ended["state"] == "approved" {
            expected += 5_000;
        }
        assert_eq!(service.balance(wallet(&member)).await, expected);
    }
    service.balances().await;
}

#[tokio::test]
async fn a_closed_account_gets_no_credit() {
    let service = Service::start().await;
    let (first, _) = operator(&service, "张伟").await;
    let (second, _) = operator(&service, "刘洋").await;
    let member = service.member("李女士").await;
    let before = ask(&service, &first, &member, "a").await;
    let to_refuse = ask(&service, &first, &member, "b").await;
    let made = ask(&service, &first, &member, "c").await;
    step(&service, &second, &made, "approve").await.result();
    let transfer = service.number("SELECT max(id) FROM transfer").await;
    let reverse = format!("/operator/transfer/{transfer}/reverse");
    let reason = json!({"reason": "人工入账重复，工单 2026-118"});
    let reversal = first.post(&service, &reverse, reason).send().await.result();
    let close = "UPDATE account SET closed_ms = 1 WHERE id = $1";
    service.rewrite(close, member.id).await;

    let body = json!({"user_id": member.id, "amount_fen": 5_000, "reason": "重复扣款补偿，工单 2026-118"});
    let refused = first
        .post(&service, "/operator/credit", body)
        .key("d")
        .send()
        .await;
    refused.refused(409, "account.closed");
    step(&service, &second, &before, "approve")
        .await
        .refused(409, "account.closed");
    let refused = step(&service, &second, &to_refuse, "refuse").await.result();
    assert_eq!(refused["state"], "refused");
    assert_eq!(service.balance(wallet(&member)).await, 5_000);
    // Out of the wallet, where nobody else can take it from.
    let approve = format!("/operator/reversal/{}/approve", reversal["reversal_id"]);
    second.post(&service, &approve, json!({})).send().await.result();
    assert_eq!(service.balance(wallet(&member)).await, 0);
    let asked = "SELECT count(*) FROM credit WHERE state = 'asked'";
    assert_eq!(service.number(asked).await, 1);

    let open = "UPDATE account SET closed_ms = NULL WHERE id = $1";
    service.rewrite(open, member.id).await;
    step(&service, &second, &before, "approve").await.result();
    assert_eq!(service.balance(wallet(&member)).await, 5_000);
    service.reconciles().await;
}
