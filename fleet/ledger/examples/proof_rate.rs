//! How fast books of many postings are proved, and in how much memory.
//!
//! `cargo run --release -p ledger --example proof_rate -- [POSTINGS] [postgres]`: by default 10,000,000 postings of finished
//! consults on a file in the folder for temporary files, else on a private instance of PostgreSQL. They are filled in by SQL.
//! CPU time is that of this process: on PostgreSQL without the server's.

#![allow(clippy::unwrap_used, reason = "a measurement that fails says where")]

use std::{
    io::Write,
    time::{Duration, Instant},
};

use database::{Database, params};
use ledger::reconcile::{Progress, reconcile};
use testkit::store::Store;

/// Members and teams, which take turns.
const MEMBERS: i64 = 1000;
const TEAMS: i64 = 100;
/// A consult has two transfers: its price is held, and earned.
const POSTINGS_OF_CONSULT: i64 = 5;
const PRICE: i64 = 100;
const COMMISSION: i64 = 10;
const MONTH: i64 = 202_611;
const AT_MS: i64 = 1_795_000_000_000;
/// Consults of one transaction.
const AT_ONCE: i64 = 20_000;

/// Rows of the consults from the first to the last parameter; `consults` of all.
fn of_consults(consults: i64) -> [String; 6] {
    let (each, income) = (consults / MEMBERS, PRICE - COMMISSION);
    let (begin, finish) = (format!("{MEMBERS} + 1 + 2 * i"), format!("{MEMBERS} + 2 + 2 * i"));
    let (member, team) = (format!("i % {MEMBERS} + 1"), format!("i % {TEAMS} + 1"));
    [
        format!(
            "INSERT INTO consult (id, status, creator_id, target_id, team_id, assistant_id, staff_conversation_id,
                 symptom_type, symptom_content, images, created_ms, ended_ms, month)
             SELECT i + 1, 'finished', {member}, {member}, {team}, 1, 0, '', '', '[]', {AT_MS}, {AT_MS}, {MONTH} FROM n"
        ),
        format!(
            "INSERT INTO consult_charge (consult_id, team_id, member_id, price_fen, commission_per_mille, fee_fen,
                 wallet_fen, state, commission_fen, refunded_fen, created_ms, ended_ms, month)
             SELECT i + 1, {team}, {member}, {PRICE}, {COMMISSION} * 1000 / {PRICE}, 0, {PRICE}, 'earned', {COMMISSION},
                 0, {AT_MS}, {AT_MS}, {MONTH} FROM n"
        ),
        format!(
            "INSERT INTO transfer (id, kind, cause, month, earned_month, created_ms)
             SELECT {begin}, 'begin', 'consult:' || CAST(i + 1 AS TEXT), {MONTH}, NULL, {AT_MS} FROM n
             UNION ALL
             SELECT {finish}, 'finish', 'consult:' || CAST(i + 1 AS TEXT), {MONTH}, {MONTH}, {AT_MS} FROM n"
        ),
        format!(
            "INSERT INTO posting (transfer_id, line, account, amount_fen, balance_after_fen, place, month)
             SELECT {begin}, 0, 'held:' || CAST(i + 1 AS TEXT), {PRICE}, {PRICE}, 1, {MONTH} FROM n
             UNION ALL
             SELECT {begin}, 1, 'wallet:' || CAST({member} AS TEXT), -{PRICE}, {PRICE} * ({each} - i / {MEMBERS} - 1),
                 i / {MEMBERS} + 2, {MONTH} FROM n"
        ),
        format!(
            "INSERT INTO posting (transfer_id, line, account, amount_fen, balance_after_fen, place, month)
             SELECT {finish}, 0, 'held:' || CAST(i + 1 AS TEXT), -{PRICE}, 0, 2, {MONTH} FROM n
             UNION ALL
             SELECT {finish}, 1, 'income:' || CAST({team} AS TEXT), {income}, {income} * (i / {TEAMS} + 1),
                 i / {TEAMS} + 1, {MONTH} FROM n
             UNION ALL
             SELECT {finish}, 2, 'platform', {COMMISSION}, NULL, NULL, {MONTH} FROM n"
        ),
        "INSERT INTO ledger_account (account, kind, owner_id, part_id, balance_fen, postings)
         SELECT 'held:' || CAST(i + 1 AS TEXT), 'held', i + 1, 0, 0, 2 FROM n"
            .to_owned(),
    ]
}

/// Rows of the members and of the teams, from 0 to the parameter less one.
fn of_owners(consults: i64) -> [(i64, String); 6] {
    let (each, of_team, income) = (consults / MEMBERS, consults / TEAMS, PRICE - COMMISSION);
    let top = PRICE * each;
    let of_member = |sql: String| (MEMBERS, sql);
    let [one, two, three, four] = [
        format!(
            "INSERT INTO credit (id, user_id, amount_fen, reason, state, asked_by, asked_ms, ended_by, ended_ms)
             SELECT i + 1, i + 1, {top}, '', 'approved', 1, {AT_MS}, 2, {AT_MS} FROM n"
        ),
        format!(
            "INSERT INTO transfer (id, kind, cause, month, created_ms)
             SELECT i + 1, 'credit', 'credit:' || CAST(i + 1 AS TEXT), {MONTH}, {AT_MS} FROM n"
        ),
        format!(
            "INSERT INTO posting (transfer_id, line, account, amount_fen, balance_after_fen, place, month)
             SELECT i + 1, 0, 'outside:hand', -{top}, NULL, NULL, {MONTH} FROM n UNION ALL
             SELECT i + 1, 1, 'wallet:' || CAST(i + 1 AS TEXT), {top}, {top}, 1, {MONTH} FROM n"
        ),
        format!(
            "INSERT INTO ledger_account (account, kind, owner_id, part_id, balance_fen, postings, consumed_fen)
             SELECT 'wallet:' || CAST(i + 1 AS TEXT), 'wallet', i + 1, 0, 0, {each} + 1, {top} FROM n"
        ),
    ]
    .map(of_member);
    [
        one,
        two,
        three,
        four,
        (
            TEAMS,
            format!(
                "INSERT INTO ledger_account (account, kind, owner_id, part_id, balance_fen, postings)
                 SELECT 'income:' || CAST(i + 1 AS TEXT), 'income', i + 1, 0, {income} * {of_team}, {of_team} FROM n"
            ),
        ),
        (
            TEAMS,
            format!(
                "INSERT INTO income_month (team_id, month, posted_fen, earned_fen)
                 SELECT i + 1, {MONTH}, {income} * {of_team}, {income} * {of_team} FROM n"
            ),
        ),
    ]
}

/// Runs a statement over the numbers from one to another.
async fn fill(database: &Database, rows: &str, from: i64, to: i64) {
    let sql = format!(
        "WITH RECURSIVE n (i) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $2) {rows}"
    );
    let filled: Result<u64, database::Error> = database
        .transaction(move |tx| Box::pin(async move { tx.execute(sql, params![from, to]).await }))
        .await;
    filled.unwrap();
}

/// A number of a line of /proc/self/status, KiB.
fn status_kib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// CPU time of this process: the kernel counts in hundredths of a second.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11..=12]
        .iter()
        .map(|ticks| ticks.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(ticks * 10)
}

/// Draws a bar when another hundredth is done.
fn draw(progress: Progress, drawn: &mut (&'static str, u64)) {
    let percent = progress.done * 100 / progress.total.max(1);
    if *drawn != (progress.step, percent) {
        *drawn = (progress.step, percent);
        let bar = "#".repeat(usize::try_from(percent / 4).unwrap());
        print!("\r{:<10} [{bar:<25}] {percent:>3} %", progress.step);
        std::io::stdout().flush().unwrap();
    }
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let postings: i64 = arguments
        .next()
        .map_or(10_000_000, |postings| postings.parse().unwrap());
    let store = match arguments.next().as_deref() {
        Some("postgres") => Store::Postgres,
        _ => Store::Sqlite,
    };
    let place = store
        .place(|url| async move {
            Database::open(&url).await?.close().await;
            Ok(())
        })
        .await;
    let database = Database::open(place.url()).await.unwrap();
    // As many of each member, and of each team.
    let consults = (postings / POSTINGS_OF_CONSULT / MEMBERS).max(1) * MEMBERS;
    let begun = Instant::now();
    for (count, rows) in of_owners(consults) {
        fill(&database, &rows, 0, count - 1).await;
    }
    for from in (0..consults).step_by(usize::try_from(AT_ONCE).unwrap()) {
        for rows in of_consults(consults) {
            fill(&database, &rows, from, consults.min(from + AT_ONCE) - 1).await;
        }
    }
    println!("{store:?}: filled in {:.0} s", begun.elapsed().as_secs_f64());
    // The highest resident size begins anew.
    let before_kib = status_kib("VmRSS");
    let is_reset = std::fs::write("/proc/self/clear_refs", "5").is_ok();
    let (begun, cpu_before) = (Instant::now(), cpu());
    let mut drawn = ("", 0);
    let report = reconcile(&database, None, |progress| draw(progress, &mut drawn))
        .await
        .unwrap();
    let (took, cpu_took) = (begun.elapsed().as_secs_f64(), (cpu() - cpu_before).as_secs_f64());
    assert!(report.is_balanced(), "{:?}", report.faults);
    let proved = report.counts.postings as f64;
    println!(
        "\n{store:?}: {} postings, {} transfers, {} accounts proved in {took:.1} s ({:.0} postings/s), {cpu_took:.1} s of CPU \
         ({:.0} postings/s)",
        report.counts.postings,
        report.counts.transfers,
        report.counts.accounts,
        proved / took,
        proved / cpu_took,
    );
    println!(
        "VmRSS before {before_kib} KiB, VmHWM {} KiB{}",
        status_kib("VmHWM"),
        if is_reset {
            " of the proof"
        } else {
            " of the whole run"
        }
    );
    database.close().await;
}
