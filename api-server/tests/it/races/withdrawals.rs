//! Races of withdrawals, in their windows.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::super::{
    apart::{self, set_clock},
    incomes::{self, PASSWORD},
    operators::operator,
    people::Person,
    service::Reply,
    withdrawals::NUMBER,
};
use super::{Pair, lanes, rounds, won};

const EARNED: &str = "2026-11-20T12:00:00+08:00";
const WINDOW: &str = "2026-12-03T12:00:00+08:00";
/// Rounds of one team: it withdraws at most 20 times in a window, and at most twice in a round.
const OF_ONE_TEAM: usize = 10;

/// Pairs with a team each, whose payee has rested, and a consult of its patient. The clock is that of the earning. The clock
/// is of all of them, so that they earn and withdraw at the same time.
async fn pairs() -> Vec<(Pair, i64)> {
    set_clock("2026-11-18T12:00:00+08:00");
    let mut pairs = vec![Pair::of(incomes::scene().await).await];
    for lane in 1..lanes() {
        let scene = incomes::scene_on(pairs[0].scene.service.at_rest()).await;
        pairs.push(pairs[0].beside(scene, lane));
    }
    for pair in &pairs {
        pair.scene.set_payee(NUMBER).await.result();
    }
    set_clock(EARNED);
    let mut started = Vec::new();
    for pair in pairs {
        let consult = pair.scene.in_process().await;
        started.push((pair, consult));
    }
    started
}

/// Teams with fresh windows: new owners, doctors, and consults of the patients.
async fn renew(pairs: &mut [(Pair, i64)]) {
    set_clock("2026-11-18T12:00:00+08:00");
    join_all(pairs.iter_mut().map(|(pair, _)| async move {
        let service = &pair.scene.service;
        service.credit(&pair.scene.patient, 1_000_000).await;
        let owner = service.register("Dr. Owner", "doctor", Some(PASSWORD)).await;
        let team = service.team_of(&owner, "儿科").await;
        let doctor = service.doctor_of(&team, "李医生").await;
        pair.scene.team = team;
        pair.scene.doctor = doctor;
        pair.scene.set_payee(NUMBER).await.result();
    }))
    .await;
    set_clock(EARNED);
    join_all(pairs.iter_mut().map(|(pair, consult)| async move {
        let service = &pair.scene.service;
        *consult = service.consult(&pair.scene.patient, &pair.scene.team).await;
        service
            .bring_in(&pair.scene.team, *consult, &pair.scene.doctor)
            .await;
    }))
    .await;
}

/// Runs rounds: each pair earns 2000 fen, then all race in the window. The race gets its pair, its round and the service.
async fn race_in_windows(mut pairs: Vec<(Pair, i64)>, race: impl AsyncFn(&Pair, usize, i64)) {
    for turn in 0..rounds().div_ceil(lanes()) {
        if turn > 0 && turn % OF_ONE_TEAM == 0 {
            renew(&mut pairs).await;
        }
        let earned = pairs
            .iter()
            .map(|(pair, consult)| pair.scene.earn(EARNED, *consult, 2_000));
        let services = join_all(earned).await;
        set_clock(WINDOW);
        let races = pairs.iter().zip(services);
        join_all(races.map(|((pair, _), vas)| race(pair, pair.lane + turn * lanes(), vas))).await;
    }
    pairs[0].0.balances().await;
}

impl Pair {
    async fn asks(&self, at: usize, body: Value, key: &str) -> Reply {
        let path = format!("/team/{}/withdrawal", self.scene.team.id);
        self.send(at, &self.scene.team.owner, &path, body, key).await
    }
}

#[test]
fn races_in_a_window() {
    apart::run(module_path!());
}

/// I6: income is withdrawn or refunded, never both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs apart, at another time"]
async fn a_withdrawal_against_refunds_has_one_winner() {
    race_in_windows(pairs().await, withdraw_or_refund).await;
}

async fn withdraw_or_refund(pair: &Pair, round: usize, vas: i64) {
    let path = format!("/vas/{vas}/refund");
    let calls = (0..2 + round % 18).map(|at| {
        let (path, key) = (&path, format!("{vas}-{at}"));
        let owner = &pair.scene.team.owner;
        async move {
            if (at + round).is_multiple_of(3) {
                (true, pair.asks(at, json!({}), &key).await)
            } else {
                let body = json!({"reason": "服务未完成"});
                (false, pair.send(at, owner, path, body, &key).await)
            }
        }
    });
    let (mut withdrawals, mut refunds) = (Vec::new(), Vec::new());
    for (withdraws, reply) in join_all(calls).await {
        if withdraws {
            withdrawals.push(reply);
        } else {
            refunds.push(reply);
        }
    }
    assert_eq!(won(&withdrawals) + won(&refunds), 1, "one winner");
    let lost = if won(&refunds) == 1 {
        "refund.too_much"
    } else {
        "income.insufficient"
    };
    for reply in refunds.iter().filter(|reply| reply.status != 200) {
        reply.refused(409, lost);
    }
    for reply in withdrawals.iter().filter(|reply| reply.status != 200) {
        reply.refused(409, "income.insufficient");
    }
    assert_eq!(pair.scene.income().await, 0);
}

/// I6: of a sum that is enough for one, one is withdrawn; then two operators race to approve what a third entered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs apart, at another time"]
async fn two_withdrawals_of_one_sum_and_two_approvals_of_one_payout() {
    let pairs = pairs().await;
    let mut operators = Vec::new();
    for name in ["陈静", "张伟", "刘洋"] {
        operators.push(operator(&pairs[0].0.scene.service, name).await.0);
    }
    race_in_windows(pairs, async |pair, round, _| {
        withdraw_and_approve(pair, round, &operators).await;
    })
    .await;
}

async fn withdraw_and_approve(pair: &Pair, round: usize, operators: &[Person]) {
    // A payout that failed before is income again.
    let income = pair.scene.income().await;
    let calls = (0..2 + round % 19).map(|at| {
        let key = format!("{round}-{at}");
        async move { pair.asks(at, json!({"amount_fen": income}), &key).await }
    });
    let replies = join_all(calls).await;
    assert_eq!(won(&replies), 1);
    for lost in replies.iter().filter(|reply| reply.status != 200) {
        lost.refused(409, "withdrawal.too_much");
    }
    let asked = replies.iter().find(|reply| reply.status == 200).unwrap();
    let path = format!("/operator/withdrawal/{}", asked.result()["withdrawal_id"]);
    let outcome = ["paid", "failed"][(round + round / lanes()) % 2];
    let body = json!({"outcome": outcome, "reference": "ref"});
    let enter = format!("{path}/enter");
    pair.send(round, &operators[0], &enter, body.clone(), &format!("e{round}"))
        .await
        .result();
    let approve = format!("{path}/approve");
    let calls = (0..2 + round % 19).map(|at| {
        let (approve, body) = (&approve, body.clone());
        let (who, key) = (&operators[1 + at / 2 % 2], format!("a{round}-{at}"));
        async move { pair.send(at, who, approve, body, &key).await }
    });
    let replies = join_all(calls).await;
    for reply in &replies {
        assert_eq!(reply.result(), replies[0].result(), "one outcome");
    }
    let left = if outcome == "paid" { 0 } else { income };
    assert_eq!(pair.scene.income().await, left);
    let payout = ledger::Account::Payout(pair.scene.team.id);
    assert_eq!(pair.scene.service.balance(payout).await, 0);
}
