//! The limit beside the load: on PostgreSQL `pgbench` (TPC-B-like) with as many clients on the same server, on SQLite the
//! bare rows of a transfer, one synced commit each.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rusqlite::{Connection, params};
use testkit::fleet::apart;

use super::LIMIT_DURATION;
use super::ground::Ground;
use crate::arguments::RestArguments;

/// The database of pgbench.
const PGBENCH: &str = "pgbench";
/// The tables of the ledger with their indexes, as the product has them.
const TABLES: &str = "
    CREATE TABLE ledger_account (account TEXT NOT NULL PRIMARY KEY, kind TEXT NOT NULL, owner_id BIGINT NOT NULL,
        part_id BIGINT NOT NULL, balance_fen BIGINT NOT NULL CHECK (balance_fen >= 0), postings BIGINT NOT NULL,
        consumed_fen BIGINT NOT NULL DEFAULT 0);
    CREATE INDEX ledger_account_by_owner ON ledger_account (kind, owner_id, part_id);
    CREATE TABLE transfer (id BIGINT NOT NULL PRIMARY KEY, kind TEXT NOT NULL, cause TEXT NOT NULL, reverses BIGINT,
        by_id BIGINT, month BIGINT NOT NULL, earned_month BIGINT, created_ms BIGINT NOT NULL);
    CREATE UNIQUE INDEX transfer_kind_cause_key ON transfer (kind, cause);
    CREATE UNIQUE INDEX transfer_reverses_key ON transfer (reverses);
    CREATE TABLE posting (transfer_id BIGINT NOT NULL, line BIGINT NOT NULL, account TEXT NOT NULL,
        amount_fen BIGINT NOT NULL, balance_after_fen BIGINT, place BIGINT, month BIGINT NOT NULL,
        PRIMARY KEY (transfer_id, line));
    CREATE UNIQUE INDEX posting_account_place_key ON posting (account, place);
    CREATE INDEX posting_by_month ON posting (account, month, place) WHERE substr(account, 1, 7) = 'income:';";
const TRANSFER: &str = "INSERT INTO transfer (id, kind, cause, by_id, month, earned_month, created_ms)
    VALUES (?1, 'vas', ?2, ?3, 202612, 202612, ?1)";
const MOVE: &str = "UPDATE ledger_account SET balance_fen = balance_fen + ?1, postings = postings + 1
    WHERE account = ?2 RETURNING balance_fen, postings";
const POSTING: &str = "INSERT INTO posting VALUES (?1, ?2, ?3, ?4, ?5, ?6, 202612)";

/// The best that the machine does.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    pub(super) what: String,
    /// Transactions a second.
    pub(super) per_s: f64,
}

impl Limit {
    /// The faster of two.
    pub(super) fn faster(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        [one, other]
            .into_iter()
            .flatten()
            .max_by(|one, other| one.per_s.total_cmp(&other.per_s))
    }
}

/// Measures it while the servers are idle; none of a running fleet, whose database is not ours.
pub(super) async fn measure(ground: &Ground, arguments: &RestArguments) -> Result<Option<Limit>> {
    let duration = arguments.duration.min(LIMIT_DURATION);
    if let Some(processes) = &ground.fleet.processes {
        let (postgres, clients) = (processes.postgres.clone(), arguments.workers);
        return apart(move || pgbench(&postgres, clients, duration))
            .await
            .map(Some);
    }
    let Some(own) = &ground.fleet.own else {
        return Ok(None);
    };
    let path = own.folder().join("limit.db");
    let accounts = i64::from(arguments.workers);
    let measured = tokio::task::spawn_blocking(move || bare_rows(&path, accounts, duration));
    measured.await.context("the limit panicked")?.map(Some)
}

/// TPC-B-like: three balances and a line of history in each transaction.
fn pgbench(postgres: &testkit::postgres::Postgres, clients: u32, duration: Duration) -> Result<Limit> {
    let clients = clients.to_string();
    if postgres.create_database(PGBENCH, None).is_ok() {
        // As many branches as clients, or they would wait for one row.
        postgres.run("pgbench", PGBENCH, &["-i", "-q", "-s", &clients])?;
    }
    let seconds = duration.as_secs().max(1).to_string();
    let arguments = ["-n", "-b", "tpcb-like", "-c", &clients, "-j", "2", "-T", &seconds];
    let said = postgres.run("pgbench", PGBENCH, &arguments)?;
    Ok(Limit {
        what: format!("pgbench, TPC-B-like, {clients} clients"),
        per_s: tps(&said).with_context(|| format!("pgbench says no tps: {said}"))?,
    })
}

/// The rate that pgbench prints.
fn tps(said: &str) -> Option<f64> {
    let line = said.lines().find_map(|line| line.strip_prefix("tps = "))?;
    line.split_whitespace().next()?.parse().ok()
}

/// One thread writes the rows of one transfer after the other.
fn bare_rows(path: &Path, accounts: i64, duration: Duration) -> Result<Limit> {
    let mut database = Connection::open(path)?;
    database.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 16000;
         PRAGMA cache_size = -65536;",
    )?;
    let is_new: bool = database.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))?;
    if is_new {
        database.execute_batch(TABLES)?;
        let new = "INSERT INTO ledger_account (account, kind, owner_id, part_id, balance_fen, postings)
                   VALUES (?1, ?2, ?3, 0, 1000000000000, 0)";
        for number in 0..accounts {
            for kind in ["wallet", "income"] {
                database.execute(new, params![format!("{kind}:{number}"), kind, number])?;
            }
        }
    }
    let mut id: i64 =
        database.query_row("SELECT coalesce(max(id), 0) FROM transfer", [], |row| row.get(0))?;
    let (begun, first) = (Instant::now(), id);
    while begun.elapsed() < duration {
        id += 1;
        let transaction = database.transaction()?;
        rows(&transaction, id, id % accounts)?;
        transaction.commit()?;
    }
    Ok(Limit {
        what: "bare rows of a transfer, one synced commit each".to_owned(),
        per_s: (id - first) as f64 / begun.elapsed().as_secs_f64(),
    })
}

fn rows(database: &Connection, id: i64, number: i64) -> Result<()> {
    let mut transfer = database.prepare_cached(TRANSFER)?;
    transfer.execute(params![id, format!("vas:{id}"), number])?;
    for (line, kind, amount) in [(0, "income", 100), (1, "wallet", -100)] {
        let account = format!("{kind}:{number}");
        let (balance, place): (i64, i64) = database
            .prepare_cached(MOVE)?
            .query_row(params![amount, account], |row| Ok((row.get(0)?, row.get(1)?)))?;
        database
            .prepare_cached(POSTING)?
            .execute(params![id, line, account, amount, balance, place])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_of_pgbench_is_read() {
        let said = "latency average = 2.1 ms\ntps = 1904.761905 (without initial connection time)\n";
        assert_eq!(tps(said), Some(1904.761905));
        assert_eq!(tps("tps: none"), None);
    }

    #[test]
    fn bare_rows_balance() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("limit.db");
        for _ in 0..2 {
            let limit = bare_rows(&path, 3, Duration::from_millis(50)).unwrap();
            assert!(limit.per_s > 0.0);
        }
        let sum =
            "SELECT sum(amount_fen) = 0 AND count(*) = 2 * (SELECT count(*) FROM transfer) FROM posting";
        let balances: bool = Connection::open(path)
            .unwrap()
            .query_row(sum, [], |row| row.get(0))
            .unwrap();
        assert!(balances);
    }
}
