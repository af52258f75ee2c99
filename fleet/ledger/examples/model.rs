//! Random acts on the ledger and on naive books, by the million: every balance, month and consumption is the same at the end,
//! and the books are proved again and again.
//!
//! `cargo run --release -p ledger --example model -- [ACTS] [SEED] [URL]`: by default 10,000,000 acts on a file in the folder
//! for temporary files; with a URL on that database, which must be empty; with the word `postgres` on a private instance,
//! which goes with it. Acts that the naive books allow are committed some at a time; each that they refuse must be refused by
//! the ledger for the same reason.

#![allow(clippy::unwrap_used, reason = "a model that fails says where")]

#[path = "../tests/it/books/mod.rs"]
mod books;

use std::time::Instant;

use database::{Database, params};
use ledger::reconcile::reconcile;
use testkit::store::{Place, Store};

use self::books::{Act, Naive, Stored, random::Acts};

/// Acts of one transaction.
const GROUP: usize = 64;
/// Acts between two proofs.
const PROVE_EVERY: u64 = 1_000_000;
/// One refusal in this number is tried on the ledger as well: it costs a transaction of its own.
const TRY_EVERY: u64 = 16;

/// Members and teams.
const SHAPE: (i64, i64) = (2_000, 100);

async fn migrated(url: String) -> anyhow::Result<()> {
    Database::open(&url).await?.close().await;
    Ok(())
}

async fn compare(database: &Database, naive: &Naive) {
    let sql = "SELECT account, owner_id, balance_fen, consumed_fen FROM ledger_account WHERE account > $1 ORDER BY account LIMIT 5000";
    let (mut last, mut seen) = (String::new(), 0);
    loop {
        let rows = database.query(sql, params![last.as_str()]).await.unwrap();
        for row in &rows {
            last = row.get(0).unwrap();
            let (owner, balance, consumed): (i64, i64, i64) =
                (row.get(1).unwrap(), row.get(2).unwrap(), row.get(3).unwrap());
            assert_eq!(naive.balance(&last), balance, "{last}");
            if last.starts_with("wallet:") {
                assert_eq!(
                    naive.consumed.get(&owner).copied().unwrap_or(0),
                    consumed,
                    "{last}"
                );
            }
        }
        seen += rows.len();
        if rows.len() < 5000 {
            break;
        }
    }
    let guarded = naive
        .balances
        .keys()
        .filter(|account| !account.starts_with("outside") && *account != "platform");
    assert_eq!(guarded.count(), seen);
    let sql = "SELECT team_id, month, posted_fen, earned_fen FROM income_month";
    let rows = database.query(sql, params![]).await.unwrap();
    assert_eq!(rows.len(), naive.months.len());
    for row in rows {
        let sums = (row.get(2).unwrap(), row.get(3).unwrap());
        assert_eq!(
            naive.months.get(&(row.get(0).unwrap(), row.get(1).unwrap())),
            Some(&sums)
        );
    }
}

async fn prove(database: &Database, acts: u64, started: Instant) {
    let begun = Instant::now();
    let report = reconcile(database, None, |_| ()).await.unwrap();
    assert!(report.is_balanced(), "{:?}", report.faults);
    let postings = report.counts.postings;
    println!(
        "{acts:>10} acts  {postings:>10} postings  {:>6.0} s  proved in {:>5.1} s, {:>7.0} postings/s",
        started.elapsed().as_secs_f64(),
        begun.elapsed().as_secs_f64(),
        postings as f64 / begun.elapsed().as_secs_f64(),
    );
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let count: u64 = arguments.next().map_or(10_000_000, |acts| acts.parse().unwrap());
    let seed: u64 = arguments.next().map_or(1, |seed| seed.parse().unwrap());
    let place = match arguments.next() {
        None => Store::Sqlite.place(migrated).await,
        Some(word) if word == "postgres" => Store::Postgres.place(migrated).await,
        Some(url) => Place::on_server(url),
    };
    let database = Database::open(place.url()).await.unwrap();
    let (mut naive, mut stored) = (Naive::default(), Stored::new(database.clone()));
    let mut acts = Acts::new(seed, SHAPE.0, SHAPE.1);
    let mut group: Vec<(i64, Act)> = Vec::new();
    let started = Instant::now();
    println!("seed {seed}");
    for at in 1..=count {
        let (now_ms, act) = acts.next();
        naive.at(now_ms);
        match naive.act(&act) {
            Ok(_) => group.push((now_ms, act)),
            Err(why) if at % TRY_EVERY == 0 => {
                stored.act_all(std::mem::take(&mut group)).await;
                stored.at(now_ms);
                assert_eq!(stored.act(&act).await, Err(why), "act {at}: {act:?}");
            }
            Err(_) => {}
        }
        if group.len() == GROUP || at == count || at % PROVE_EVERY == 0 {
            stored.act_all(std::mem::take(&mut group)).await;
        }
        if at % PROVE_EVERY == 0 || at == count {
            compare(&database, &naive).await;
            prove(&database, at, started).await;
        }
    }
    database.close().await;
}
