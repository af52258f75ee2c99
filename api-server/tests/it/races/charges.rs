//! Races of charges: of consults, services and memberships.

use futures_util::future::join_all;
use serde_json::json;

use super::super::{
    money::{fee, wallet},
    people::{Person, new_consult},
    service::Reply,
};
use super::{OF_ONE_PATIENT, Pair, race, rounds, won};

/// I6: two phones and their repetitions confirm one service, and another one that the wallet cannot pay any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_confirms_pay_once_and_for_one_of_two_services() {
    let pairs = race(async |pair| {
        let mut patient = pair.patient(2_000).await;
        let mut consult = pair.consult(&patient, "0").await;
        for (at, round) in pair.rounds().enumerate() {
            if at > 0 && at.is_multiple_of(OF_ONE_PATIENT) {
                patient = pair.patient(2_000).await;
                consult = pair.consult(&patient, "0").await;
            }
            pair.scene.service.credit(&patient, 9_900).await;
            confirm(pair, round, &patient, consult).await;
        }
    })
    .await;
    let count = "SELECT count(*) FROM transfer WHERE kind = 'vas'";
    assert_eq!(pairs[0].scene.service.number(count).await, rounds() as i64);
    for pair in &pairs {
        let earned = 9_900 * pair.rounds().count() as i64;
        assert_eq!(pair.scene.income().await, earned);
    }
    pairs[0].balances().await;
}

async fn confirm(pair: &Pair, round: usize, patient: &Person, consult: i64) {
    let services = [
        pair.scene.propose(consult).await,
        pair.scene.propose(consult).await,
    ];
    let calls = (0..2 + round % 19).map(|at| {
        let path = format!("/vas/{}/confirm", services[at / 2 % 2]);
        let key = format!("{round}-{at}");
        async move { pair.send(at, patient, &path, json!({}), &key).await }
    });
    let replies = join_all(calls).await;
    for vas in services {
        let of = replies
            .iter()
            .enumerate()
            .filter(|(at, _)| services[at / 2 % 2] == vas);
        let of: Vec<Reply> = of.map(|(_, reply)| reply.clone()).collect();
        assert!(won(&of) == 0 || won(&of) == of.len(), "the same answer to all");
        for lost in of.iter().filter(|reply| reply.status != 200) {
            lost.refused(402, "wallet.insufficient");
        }
    }
    assert_eq!(pair.scene.service.balance(wallet(patient)).await, 0);
}

/// I6: the patient cancels while the doctor finishes and the owner refunds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finish_a_cancel_and_a_refund_leave_the_price_in_one_place() {
    let pairs = race(async |pair| {
        let patient = pair.patient(0).await;
        let mut income = 0;
        for round in pair.rounds() {
            let rest = pair.scene.service.balance(wallet(&patient)).await;
            pair.scene.service.credit(&patient, 2_000 - rest).await;
            end(pair, round, &patient, &mut income).await;
        }
    })
    .await;
    pairs[0].balances().await;
}

async fn end(pair: &Pair, round: usize, patient: &Person, income: &mut i64) {
    let reason = json!({"reason": "服务未完成"});
    let consult = pair.consult(patient, &round.to_string()).await;
    let of = format!("/consult/{consult}");
    let paths = ["finish", "cancel", "refund"].map(|act| format!("{of}/{act}"));
    let calls = (0..3 + round % 9).map(|at| {
        let path = &paths[(at + round) % 3];
        let who = match (at + round) % 3 {
            0 => &pair.scene.doctor,
            1 => patient,
            _ => &pair.scene.team.owner,
        };
        let body = if path.ends_with("refund") {
            reason.clone()
        } else {
            json!({})
        };
        let key = format!("{consult}-{at}");
        async move { pair.send(at, who, path, body, &key).await }
    });
    let replies = join_all(calls).await;
    let act = |act: usize| {
        let of = replies.iter().enumerate();
        let of = of.filter(move |(at, _)| (at + round) % 3 == act);
        of.map(|(_, reply)| reply.clone()).collect::<Vec<Reply>>()
    };
    let [finishes, cancels, refunds] = [0, 1, 2].map(act);
    assert_eq!(won(&finishes) + won(&cancels), 1, "one end");
    for lost in finishes
        .iter()
        .chain(&cancels)
        .filter(|reply| reply.status != 200)
    {
        lost.refused(409, "consult.ended");
    }
    assert!(won(&refunds) <= won(&finishes), "one refund of an earned price");
    for lost in refunds.iter().filter(|reply| reply.status != 200) {
        let word = lost.json["error"].as_str().unwrap();
        assert!(
            ["refund.not_charged", "refund.too_much"].contains(&word),
            "{word}"
        );
    }
    let earned = won(&finishes) > won(&refunds);
    *income += if earned { 2_000 } else { 0 };
    let back = pair.scene.service.balance(wallet(patient)).await;
    assert_eq!(back, if earned { 0 } else { 2_000 });
    assert_eq!(pair.scene.income().await, *income);
}

/// I6: joins and leaves of one member.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_joins_and_leaves_keep_the_fee_with_the_membership() {
    let pairs = race(async |pair| {
        let patient = pair.patient(10_000).await;
        for round in pair.rounds() {
            join_and_leave(pair, round, &patient).await;
        }
    })
    .await;
    pairs[0].balances().await;
}

async fn join_and_leave(pair: &Pair, round: usize, patient: &Person) {
    let team = &pair.scene.team;
    let (join, leave) = ("/team/join".to_owned(), format!("/team/{}/leave", team.id));
    let body = json!({"team_id": team.id, "agreement_version": 1});
    let calls = (0..2 + round % 19).map(|at| {
        let (path, body) = match at % 2 {
            0 => (&join, body.clone()),
            _ => (&leave, json!({})),
        };
        let key = format!("{round}-{at}");
        async move { pair.send(at / 2, patient, path, body, &key).await }
    });
    let replies = join_all(calls).await;
    let joined = replies
        .iter()
        .step_by(2)
        .filter(|reply| reply.status == 200)
        .count();
    let left = won(&replies) - joined;
    assert!(
        joined == left || joined == left + 1,
        "{joined} joins, {left} leaves"
    );
    for lost in replies.iter().filter(|reply| reply.status != 200) {
        let word = lost.json["error"].as_str().unwrap();
        assert!(
            ["team.already_in", "team.not_in"].contains(&word),
            "{}",
            lost.text
        );
    }
    let fees = pair.scene.service.balance(fee(team, patient)).await;
    let rest = pair.scene.service.balance(wallet(patient)).await;
    let is_in = joined > left;
    assert_eq!((fees, rest), if is_in { (10_000, 0) } else { (0, 10_000) });
    if is_in {
        pair.scene.leave(patient).await.result();
    }
}

/// I6: a wallet that pays for one consult opens one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_consults_are_opened_as_far_as_the_money_goes() {
    let pairs = race(async |pair| {
        let mut patient = pair.patient(0).await;
        for (at, round) in pair.rounds().enumerate() {
            if at > 0 && at.is_multiple_of(OF_ONE_PATIENT) {
                patient = pair.patient(0).await;
            } else if at > 0 {
                pair.scene.leave(&patient).await.result();
            }
            pair.scene.service.credit(&patient, 12_000).await;
            begin(pair, round, &patient).await;
        }
    })
    .await;
    pairs[0].balances().await;
}

async fn begin(pair: &Pair, round: usize, patient: &Person) {
    // The fee pays for five of them, the wallet for one.
    pair.scene.join(patient, 1).await.result();
    let body = new_consult(patient, pair.scene.team.id);
    let calls = (0..7 + round % 14).map(|at| {
        let key = format!("{round}-{at}");
        let body = body.clone();
        async move { pair.send(at, patient, "/consult", body, &key).await }
    });
    let replies = join_all(calls).await;
    assert_eq!(won(&replies), 6);
    for lost in replies.iter().filter(|reply| reply.status != 200) {
        lost.refused(402, "wallet.insufficient");
    }
    let fees = pair.scene.service.balance(fee(&pair.scene.team, patient)).await;
    let rest = pair.scene.service.balance(wallet(patient)).await;
    assert_eq!((fees, rest), (0, 0));
}
