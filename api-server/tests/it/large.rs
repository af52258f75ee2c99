//! Lists of an account with many postings take as long as those of one with a hundred.
//!
//! `HUIZHEN_POSTINGS=1000000 cargo test -p api-server --test it large:: -- --nocapture` measures it; the suite fills in a few
//! thousand and looks at the pages only.

use std::time::{Duration, Instant};

use database::{Error, Value, params};
use serde_json::json;

use super::{
    people::{Person, Team},
    scene::Scene,
    service::Service,
};

const FEW: i64 = 100;
const PAGE: usize = 50;
/// In Beijing.
const MONTH: i64 = 202_611;
const AT_MS: i64 = 1_795_000_000_000;
const PRICE: i64 = 10;
/// Rows of one transaction.
const AT_ONCE: i64 = 50_000;
/// Times that each list is read.
const TIMES: usize = 200;

/// The services that a member has confirmed, `count` of them: their rows and their postings, with ids behind `first`.
fn rows(first: i64, member: i64, team: i64, count: i64) -> [String; 4] {
    [
        format!(
            "INSERT INTO vas (id, consult_id, team_id, doctor_id, member_id, name, description, price_fen, state,
                 created_ms, decided_ms, commission_per_mille, commission_fen, month)
             SELECT {first} + i, 1, {team}, 1, {member}, '复查', '', {PRICE}, 'confirmed', {AT_MS}, {AT_MS}, 0, 0, {MONTH}
             FROM n"
        ),
        format!(
            "INSERT INTO transfer (id, kind, cause, by_id, month, earned_month, created_ms)
             SELECT {first} + i, 'vas', 'vas:' || CAST({first} + i AS TEXT), {member}, {MONTH}, {MONTH}, {AT_MS} FROM n"
        ),
        format!(
            "INSERT INTO posting (transfer_id, line, account, amount_fen, balance_after_fen, place, month)
             SELECT {first} + i, 0, 'income:{team}', {PRICE}, {PRICE} * i, i, {MONTH} FROM n"
        ),
        format!(
            "INSERT INTO posting (transfer_id, line, account, amount_fen, balance_after_fen, place, month)
             SELECT {first} + i, 1, 'wallet:{member}', -{PRICE}, {PRICE} * ({count} - i), i + 1, {MONTH} FROM n"
        ),
    ]
}

async fn execute(service: &Service, sql: String, parameters: Vec<Value>) {
    let done: Result<u64, Error> = service
        .database
        .transaction(move |tx| Box::pin(async move { tx.execute(sql, parameters).await }))
        .await;
    done.unwrap();
}

/// A member and a team, whose accounts get this number of postings.
async fn filled(scene: &Scene, name: &str, count: i64) -> (Person, Team) {
    let service = &scene.service;
    let (member, team) = (service.member(name).await, service.team(name).await);
    service.credit(&member, count * PRICE).await;
    let first = service.number("SELECT max(id) FROM transfer").await + 1_000_000_000;
    let mut from = 1;
    while from <= count {
        let to = count.min(from + AT_ONCE - 1);
        for rows in rows(first, member.id, team.id, count) {
            let sql = format!(
                "WITH RECURSIVE n (i) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $2) {rows}"
            );
            execute(service, sql, params![from, to]).await;
        }
        from = to + 1;
    }
    let (wallet, income) = (format!("wallet:{}", member.id), format!("income:{}", team.id));
    for sql in [
        format!(
            "UPDATE ledger_account SET balance_fen = 0, postings = {count} + 1, consumed_fen = {PRICE} * {count}
             WHERE account = '{wallet}'"
        ),
        format!(
            "INSERT INTO ledger_account (account, kind, owner_id, part_id, balance_fen, postings)
             VALUES ('{income}', 'income', {}, 0, {PRICE} * {count}, {count})",
            team.id
        ),
        format!(
            "INSERT INTO income_month (team_id, month, posted_fen, earned_fen)
             VALUES ({}, {MONTH}, {PRICE} * {count}, {PRICE} * {count})",
            team.id
        ),
    ] {
        execute(service, sql, vec![]).await;
    }
    (member, team)
}

/// The median of the time that a list takes for each of the accounts, read in turns.
async fn medians(service: &Service, readers: [(&Person, &str); 2]) -> [Duration; 2] {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..TIMES {
        for ((who, path), times) in readers.iter().zip(&mut times) {
            let begun = Instant::now();
            who.get(service, path).send().await.result();
            times.push(begun.elapsed());
        }
    }
    times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_with_many_postings_is_listed_as_one_with_few() {
    let set = std::env::var("HUIZHEN_POSTINGS").ok();
    let many: i64 = set.as_ref().map_or(2_000, |count| count.parse().unwrap());
    let scene = Scene::charging().await;
    let service = &scene.service;
    let (few, many_of) = (filled(&scene, "少", FEW).await, filled(&scene, "多", many).await);
    for table in ["posting", "transfer", "vas", "ledger_account"] {
        // As a server does by itself, later.
        execute(service, format!("ANALYZE {table}"), vec![]).await;
    }
    for ((member, team), count) in [(&few, FEW), (&many_of, many)] {
        let list = member
            .get(service, "/member/consumption_list?count=true&limit=50")
            .send()
            .await;
        assert_eq!(list.json["total"], count + 1);
        let items = list.result();
        assert_eq!(items.as_array().unwrap().len(), PAGE);
        let shown = (&items[0]["kind"], &items[0]["balance_fen"], &items[0]["vas_name"]);
        assert_eq!(shown, (&json!("vas"), &json!(0), &json!("复查")));
        let path = format!("/team/{}/statement/2026-11?limit=50", team.id);
        let statement = team.owner.get(service, &path).send().await.result();
        assert_eq!(statement["closing_fen"], count * PRICE);
        assert_eq!(statement["postings"][49]["balance_fen"], 50 * PRICE);
    }
    if set.is_none() {
        return;
    }
    let list = "/member/consumption_list?count=true&limit=50";
    let statements =
        [&few, &many_of].map(|(_, team)| format!("/team/{}/statement/2026-11?limit=50", team.id));
    for (what, readers) in [
        ("consumption list", [(&few.0, list), (&many_of.0, list)]),
        (
            "statement",
            [
                (&few.1.owner, statements[0].as_str()),
                (&many_of.1.owner, statements[1].as_str()),
            ],
        ),
    ] {
        let [small, large] = medians(service, readers).await;
        let ratio = large.as_secs_f64() / small.as_secs_f64();
        println!(
            "{:?}: {what} of {FEW} postings {small:?}, of {many} {large:?}: {ratio:.2}",
            super::STORE
        );
        assert!(ratio <= 1.5, "{what}: {ratio:.2}");
    }
}
