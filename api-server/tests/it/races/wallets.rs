//! Races of wallets: notices, keys, and operators' decisions.

use database::params;
use futures_util::future::join_all;
use serde_json::json;

use super::super::{money::wallet, notices, operators::operator, people::Person, service::Reply};
use super::{OF_ONE_PATIENT, Pair, race, rounds, won};

/// I6: the same notice many times at once, another one of the same payment, and words that it failed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replayed_and_concurrent_notices_fill_a_wallet_once() {
    let pairs = race(async |pair| {
        let member = pair.patient(1).await;
        for (at, round) in pair.rounds().enumerate() {
            fill(pair, round, &member).await;
            let expected = 1 + 100 * (at as i64 + 1);
            assert_eq!(pair.scene.service.balance(wallet(&member)).await, expected);
        }
    })
    .await;
    let count = "SELECT count(*) FROM transfer WHERE kind = 'top_up'";
    assert_eq!(pairs[0].scene.service.number(count).await, rounds() as i64);
    pairs[0].balances().await;
}

async fn fill(pair: &Pair, round: usize, member: &Person) {
    let service = pair.service(round);
    let order = service.order(member, 100, &format!("k{round}")).await;
    let mut sent = vec![service.notice(&format!("n{round}"), notices::paid(&order)).await; 1 + round % 17];
    sent.push(service.notice(&format!("o{round}"), notices::paid(&order)).await);
    sent.push(
        service
            .notice(&format!("c{round}"), notices::closed(&order))
            .await,
    );
    let sent = sent.iter().enumerate();
    join_all(sent.map(|(at, notice)| pair.notify(at, notice))).await;
    assert_eq!(service.order_now(member, &order).await["state"], "paid");
}

/// I6: one key with other bodies. The first body wins, its repetitions get its answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_opens_one_consult_whatever_the_bodies_say() {
    let pairs = race(async |pair| {
        let mut patient = pair.patient(19 * 2_000).await;
        for (at, round) in pair.rounds().enumerate() {
            if at > 0 && at.is_multiple_of(OF_ONE_PATIENT) {
                patient = pair.patient(19 * 2_000).await;
            }
            pair.scene.service.credit(&patient, 2_000).await;
            open(pair, round, &patient).await;
            assert_eq!(pair.scene.service.balance(wallet(&patient)).await, 19 * 2_000);
        }
    })
    .await;
    let count = "SELECT count(*) FROM consult";
    assert_eq!(pairs[0].scene.service.number(count).await, rounds() as i64);
    pairs[0].balances().await;
}

/// Sends other bodies under one key.
async fn open(pair: &Pair, round: usize, patient: &Person) {
    let key = &format!("one-{round}");
    let calls = (0..2 + round % 19).map(|at| {
        let mut body = super::super::people::new_consult(patient, pair.scene.team.id);
        body["symptom_content"] = format!("头痛 {}", at % 3).into();
        async move { pair.send(at / 2, patient, "/consult", body, key).await }
    });
    let replies: Vec<Reply> = join_all(calls).await;
    let accepted: Vec<&Reply> = replies.iter().filter(|reply| reply.status == 200).collect();
    assert!(!accepted.is_empty(), "{}", replies[0].text);
    for reply in &accepted {
        assert_eq!(reply.text, accepted[0].text, "one answer");
    }
    for lost in replies.iter().filter(|reply| reply.status != 200) {
        lost.refused(422, "idempotency.key_reused");
    }
}

/// I6: operators approve and refuse one credit, and the reversal of one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_by_hand_is_decided_once() {
    let pairs = race(decide).await;
    pairs[0].balances().await;
}

/// The transfer of the member's newest credit.
async fn newest_credit(pair: &Pair, member: &Person) -> i64 {
    let sql = "SELECT t.id FROM transfer t JOIN posting p ON p.transfer_id = t.id
         WHERE t.kind = 'credit' AND p.account = $1 ORDER BY t.id DESC LIMIT 1";
    let account = wallet(member).to_string();
    let found = pair
        .scene
        .service
        .database
        .query_first(sql, params![account])
        .await;
    found.unwrap().unwrap().get(0).unwrap()
}

async fn decide(pair: &Pair) {
    let service = &pair.scene.service;
    let mut operators = Vec::new();
    for name in ["张伟", "刘洋", "陈静"] {
        let name = format!("{name}{}", pair.lane);
        operators.push(operator(service, &name).await.0);
    }
    let member = pair.patient(0).await;
    let mut balance = 0;
    for (turn, round) in pair.rounds().enumerate() {
        let is_credit = balance == 0 || turn % 2 == 0;
        let asked = if is_credit {
            let body = json!({"user_id": member.id, "amount_fen": 700, "reason": "a race of decisions"});
            let key = format!("k{round}");
            pair.send(round, &operators[0], "/operator/credit", body, &key)
                .await
                .result()["credit_id"]
                .clone()
        } else {
            let transfer = newest_credit(pair, &member).await;
            let asked = service.ask_reversal(&operators[0], transfer).await;
            if asked.status != 200 {
                asked.refused(409, "reversal.asked");
                continue;
            }
            asked.result()["reversal_id"].clone()
        };
        let table = if is_credit { "credit" } else { "reversal" };
        let calls = (0..2 + round % 19).map(|at| {
            let how = if (at + round) % 3 == 0 {
                "refuse"
            } else {
                "approve"
            };
            let path = format!("/operator/{table}/{asked}/{how}");
            let who = &operators[1 + at / 2 % 2];
            let key = format!("{round}-{at}");
            async move { (how, pair.send(at, who, &path, json!({}), &key).await) }
        });
        let replies = join_all(calls).await;
        let (mut approved, mut refused) = (Vec::new(), Vec::new());
        for (how, reply) in replies {
            if how == "approve" {
                approved.push(reply);
            } else {
                refused.push(reply);
            }
        }
        assert!(won(&approved) == 0 || won(&refused) == 0, "one outcome");
        assert!(won(&approved) + won(&refused) > 0, "an outcome");
        let ended = format!("{table}.ended");
        for lost in approved.iter().chain(&refused) {
            if lost.status != 200 {
                lost.refused(409, &ended);
            }
        }
        if won(&approved) > 0 {
            balance += if is_credit { 700 } else { -700 };
        }
        assert_eq!(service.balance(wallet(&member)).await, balance);
    }
}
