//! How fast transfers are posted, one committed transaction each, beside the bare rows of a transfer, in one run.
//!
//! `cargo run --release -p ledger --example post_rate -- [SECONDS] [POSTGRES_URL]`: both are written in turns of SECONDS
//! (default 2), three turns each, on a file in the folder for temporary files; with a URL also on that PostgreSQL database,
//! which must be empty, by some clients at once. A transfer confirms a service: three postings, two balances, a month. The
//! bare rows are the same five rows in tables with nothing but their keys, without a decision.

#![allow(clippy::unwrap_used, reason = "a measurement that fails says where")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use database::{Database, params};
use ledger::{Commission, Error, Fen, Movement, Outside, SEQUENCE, Transfer, post};
use proto::UserId;

const TURNS: usize = 3;
const MEMBERS: i64 = 1000;
const TEAMS: i64 = 100;
const NOW_MS: i64 = 1_796_000_000_000;
/// Clients at once: SQLite writes one after another, PostgreSQL beside each other.
const CLIENTS: [usize; 2] = [1, 8];

const BARE: [&str; 3] = [
    "CREATE TABLE bare_transfer (id BIGINT NOT NULL PRIMARY KEY, kind TEXT NOT NULL, cause TEXT NOT NULL, by_id BIGINT,
       month BIGINT NOT NULL, created_ms BIGINT NOT NULL)",
    "CREATE TABLE bare_posting (transfer_id BIGINT NOT NULL, line BIGINT NOT NULL, account TEXT NOT NULL,
       amount_fen BIGINT NOT NULL, balance_after_fen BIGINT, place BIGINT, month BIGINT NOT NULL,
       PRIMARY KEY (transfer_id, line))",
    "CREATE TABLE bare_account (account TEXT NOT NULL PRIMARY KEY, balance_fen BIGINT NOT NULL, postings BIGINT NOT NULL)",
];

/// A kind of rows that is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ledger,
    Bare,
}

async fn one(database: &Database, kind: Kind, id: i64) {
    let (member, team) = (id % MEMBERS + 1, id % TEAMS + 1);
    match kind {
        Kind::Ledger => {
            let transfer = Transfer {
                id: database.allocate_id(SEQUENCE).await.unwrap(),
                movement: Movement::vas(
                    id,
                    team,
                    UserId::from_database(member),
                    Fen::new(99).unwrap(),
                    Commission::new(55).unwrap(),
                ),
                by: Some(UserId::from_database(member)),
                now_ms: NOW_MS,
            };
            let posted: Result<_, Error> = database
                .transaction(move |tx| Box::pin(async move { post(tx, transfer).await }))
                .await;
            posted.unwrap();
        }
        Kind::Bare => {
            let written: Result<(), database::Error> = database
                .transaction(move |tx| Box::pin(async move { bare(tx, id, member, team).await }))
                .await;
            written.unwrap();
        }
    }
}

async fn bare(
    tx: &mut database::Transaction<'_>,
    id: i64,
    member: i64,
    team: i64,
) -> Result<(), database::Error> {
    let (wallet, income) = (format!("wallet:{member}"), format!("income:{team}"));
    let sql = "INSERT INTO bare_transfer (id, kind, cause, by_id, month, created_ms) VALUES ($1, 'vas', $2, $3, 202611, $4)";
    tx.execute(sql, params![id, format!("vas:{id}"), member, NOW_MS])
        .await?;
    let sql = "INSERT INTO bare_posting (transfer_id, line, account, amount_fen, balance_after_fen, place, month)
        VALUES ($1, 0, $2, 94, 1, 1, 202611), ($1, 1, 'platform', 5, NULL, NULL, 202611), ($1, 2, $3, -99, 1, 1, 202611)";
    tx.execute(sql, params![id, income.as_str(), wallet.as_str()])
        .await?;
    for account in [income, wallet] {
        let sql = "INSERT INTO bare_account (account, balance_fen, postings) VALUES ($1, 1, 1)
            ON CONFLICT (account) DO UPDATE SET balance_fen = bare_account.balance_fen + 1, postings = bare_account.postings + 1";
        tx.execute(sql, params![account]).await?;
    }
    Ok(())
}

/// Transfers of some clients for so long.
async fn turn(database: &Database, kind: Kind, clients: usize, next: &Arc<AtomicI64>, time: Duration) -> f64 {
    let started = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let (database, next) = (database.clone(), next.clone());
            tokio::spawn(async move {
                let mut written = 0_u64;
                while started.elapsed() < time {
                    one(&database, kind, next.fetch_add(1, Ordering::Relaxed)).await;
                    written += 1;
                }
                written
            })
        })
        .collect();
    let mut written = 0;
    for task in tasks {
        written += task.await.unwrap();
    }
    written as f64 / started.elapsed().as_secs_f64()
}

async fn measure(name: &str, url: &str, time: Duration) {
    let database = Database::open(url).await.unwrap();
    let made: Result<(), Error> = database
        .transaction(|tx| {
            Box::pin(async move {
                for table in BARE {
                    tx.execute(table, params![]).await?;
                }
                for member in 1..=MEMBERS {
                    let movement =
                        Movement::top_up(member, Outside::Mockpay, UserId::from_database(member), Fen::MAX);
                    // Ids of the sequence are positive.
                    let transfer = Transfer {
                        id: -member,
                        movement,
                        by: None,
                        now_ms: NOW_MS,
                    };
                    post(tx, transfer).await?;
                }
                Ok(())
            })
        })
        .await;
    made.unwrap();
    let next = Arc::new(AtomicI64::new(1));
    for clients in CLIENTS {
        let (mut ours, mut theirs) = (0.0, 0.0);
        for _ in 0..TURNS {
            ours += turn(&database, Kind::Ledger, clients, &next, time).await / TURNS as f64;
            theirs += turn(&database, Kind::Bare, clients, &next, time).await / TURNS as f64;
        }
        println!(
            "{name:10} {clients:>7} {ours:>11.0} {theirs:>11.0} {:>6.2}",
            ours / theirs
        );
    }
    database.close().await;
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().map_or(2.0, |seconds| seconds.parse().unwrap());
    let time = Duration::from_secs_f64(seconds);
    let folder = tempfile::tempdir().unwrap();
    println!("engine     clients transfers/s bare rows/s  ratio");
    measure(
        "sqlite",
        &format!("sqlite://{}/rate.db", folder.path().display()),
        time,
    )
    .await;
    if let Some(url) = arguments.next() {
        measure("postgresql", &url, time).await;
    }
}
