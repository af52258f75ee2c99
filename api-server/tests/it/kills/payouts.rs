//! Kills while a team withdraws income, and while operators enter and approve what the bank did.

use serde_json::{Value, json};

use super::super::{
    apart::{self, set_clock},
    money::income,
    operators::operator,
    service::Service,
    withdrawals::in_december,
};
use super::{request, survives};

/// In each of two windows, within the limit of one; together more than all killed children get through.
const WITHDRAWALS: i64 = 19;

/// A withdrawal and its transfer are there, or neither is.
const ASKED: [&str; 1] = ["SELECT count(*) FROM withdrawal w WHERE NOT EXISTS (
         SELECT 1 FROM transfer t WHERE t.kind = 'withdrawal' AND t.cause = 'withdrawal:' || CAST(w.id AS TEXT))"];

/// An outcome, its transfer, and the acts in the audit log are all there, or none is.
const DECIDED: [&str; 5] = [
    "SELECT count(*) FROM withdrawal w WHERE (w.state = 'paid') <> EXISTS (
         SELECT 1 FROM transfer t WHERE t.kind = 'paid' AND t.cause = 'withdrawal:' || CAST(w.id AS TEXT))",
    "SELECT count(*) FROM withdrawal w WHERE (w.state = 'failed') <> EXISTS (
         SELECT 1 FROM transfer t WHERE t.kind = 'failed' AND t.cause = 'withdrawal:' || CAST(w.id AS TEXT))",
    "SELECT count(*) FROM withdrawal w WHERE (w.entered IS NOT NULL) <> EXISTS (
         SELECT 1 FROM withdrawal_export e WHERE e.withdrawal_id = w.id)",
    "SELECT count(*) FROM withdrawal w WHERE (CASE WHEN w.entered IS NULL THEN 0 ELSE 1 END) <> (
         SELECT count(*) FROM audit a
         WHERE a.act = 'withdrawal_entered' AND a.subject = 'withdrawal:' || CAST(w.id AS TEXT))",
    "SELECT count(*) FROM withdrawal w WHERE (CASE WHEN w.state = 'asked' THEN 0 ELSE 1 END) <> (
         SELECT count(*) FROM audit a
         WHERE a.act = 'withdrawal_approved' AND a.subject = 'withdrawal:' || CAST(w.id AS TEXT))",
];

const STEPS: &str = "SELECT (SELECT count(*) FROM withdrawal WHERE entered IS NOT NULL)
                          + (SELECT count(*) FROM withdrawal WHERE state <> 'asked')";

#[test]
fn payouts_are_killed() {
    apart::run(module_path!());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs apart, at another time"]
async fn i6_withdrawals_and_payouts_survive_a_kill_at_any_sync() {
    let scene = in_december(30_000).await;
    let (first, _) = operator(&scene.service, "陈静").await;
    let (second, _) = operator(&scene.service, "张伟").await;
    let path = format!("/team/{}/withdrawal", scene.team.id);
    let mut requests: Vec<Value> = Vec::new();
    for window in ["2026-12-03T12:00:00+08:00", "2027-01-03T12:00:00+08:00"] {
        let clock_ms = set_clock(window);
        for at in 1..=WITHDRAWALS {
            let mut asked = request(&scene.team.owner, &path, &json!({"amount_fen": 100 + at}));
            asked["headers"]["Idempotency-Key"] = format!("{clock_ms}-{at}").into();
            asked["clock_ms"] = clock_ms.into();
            requests.push(asked);
        }
    }
    let team = scene.team.clone();
    let place = scene.service.end().await;
    survives(&place, &requests, &ASKED, "SELECT count(*) FROM withdrawal").await;

    let service = Service::restarted(&place).await;
    let sql = "SELECT id, amount_fen FROM withdrawal ORDER BY id";
    let rows = service.database.query(sql, vec![]).await.unwrap();
    let (mut requests, mut left) = (Vec::new(), 30_000);
    for (at, row) in rows.iter().enumerate() {
        let (id, amount): (i64, i64) = (row.get(0).unwrap(), row.get(1).unwrap());
        let outcome = if at % 3 == 0 { "failed" } else { "paid" };
        left -= if outcome == "paid" { amount } else { 0 };
        let body = json!({"outcome": outcome, "reference": format!("ref-{id}")});
        let path = format!("/operator/withdrawal/{id}");
        requests.push(request(&first, &format!("{path}/enter"), &body));
        requests.push(request(&second, &format!("{path}/approve"), &body));
    }
    // Else a key of the child's time is old for this process, which deletes it.
    let clock_ms = api_server::now_ms();
    for request in &mut requests {
        request["clock_ms"] = clock_ms.into();
    }
    service.end().await;
    survives(&place, &requests, &DECIDED, STEPS).await;
    let service = Service::restarted(&place).await;
    assert_eq!(service.balance(income(&team)).await, left);
    assert_eq!(service.balance(ledger::Account::Payout(team.id)).await, 0);
}
