//! A server that hangs, dies, comes back, or ends connections: callers are answered in time, and nothing is half done.

use std::time::{Duration, Instant};

use database::{Database, Engine, Error, params};
use testkit::postgres::{Options, Postgres};

use crate::{PATIENCE, eventually, eventually_ok, migrated};

const ADD: &str = "INSERT INTO note (id) VALUES ($1)";
/// The wire promises 5 s. What a busy machine adds is no fault of ours; without a limit there would be no answer at all.
const ANSWER: Duration = Duration::from_secs(20);
/// The number of the pool's connections that are opened before they are lost.
const OPENED: i64 = 10;

/// An instance of the test's own, which it breaks.
struct Broken {
    postgres: Postgres,
    database: Database,
}

impl Broken {
    async fn open() -> Self {
        let postgres = Postgres::start(Options::default()).unwrap();
        let url = postgres.empty_database().unwrap();
        migrated(url.clone()).await.unwrap();
        let database = Database::open(&url).await.unwrap();
        let made = database
            .transaction(|tx| {
                Box::pin(async move {
                    let sql = "CREATE TABLE note (id BIGINT NOT NULL PRIMARY KEY)";
                    tx.execute(sql, vec![]).await
                })
            })
            .await;
        made.unwrap();
        Self { postgres, database }
    }

    async fn add(&self, id: i64) -> Result<u64, Error> {
        self.database
            .transaction(move |tx| Box::pin(async move { tx.execute(ADD, params![id]).await }))
            .await
    }

    async fn count(&self) -> Result<i64, Error> {
        let row = self
            .database
            .query_first("SELECT count(*) FROM note", vec![])
            .await?;
        row.unwrap().get(0)
    }

    /// Opens all connections of the pool, so that all of them are there to be lost.
    async fn fill_pool(&self) {
        let Engine::Postgres(server) = self.database.engine() else {
            panic!("no server");
        };
        let holder = server.connect().await.unwrap();
        holder.batch_execute("SELECT pg_advisory_lock(7)").await.unwrap();
        let wait = "SELECT pg_advisory_xact_lock_shared(7)::text";
        let waiting = (0..16).map(|_| self.database.query(wait, vec![]));
        let release = async {
            let count = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'";
            eventually("the pool opens connections", async || {
                self.number(count) >= OPENED
            })
            .await;
            holder
                .batch_execute("SELECT pg_advisory_unlock(7)")
                .await
                .unwrap();
        };
        let (outcomes, ()) = tokio::join!(futures_util::future::join_all(waiting), release);
        for outcome in outcomes {
            outcome.unwrap();
        }
    }

    /// Past the pool.
    fn number(&self, sql: &str) -> i64 {
        let told = tokio::task::block_in_place(|| self.postgres.psql("postgres", sql));
        told.unwrap().parse().unwrap()
    }

    async fn eventually(&self) {
        eventually_ok("it answers", async || self.count().await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_connections_are_replaced_without_a_failure() {
    let broken = Broken::open().await;
    for round in 0..3 {
        broken.fill_pool().await;
        match round {
            0 => broken.postgres.restart().unwrap(),
            1 => {
                broken.postgres.kill().unwrap();
                broken.postgres.start_again().unwrap();
            }
            _ => {
                let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'huizhen'";
                assert!(broken.number(end) >= OPENED);
            }
        }
        assert_eq!(broken.count().await.unwrap(), round);
        broken.add(round).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_is_told_at_once_and_found_again() {
    let broken = Broken::open().await;
    broken.postgres.stop().unwrap();
    let asked = Instant::now();
    assert!(matches!(broken.count().await, Err(Error::Unavailable(_))));
    assert!(matches!(broken.add(1).await, Err(Error::Unavailable(_))));
    assert!(matches!(
        broken.database.allocate_id("a").await,
        Err(Error::Unavailable(_))
    ));
    broken.database.is_ready().await.unwrap_err();
    assert!(asked.elapsed() < ANSWER);
    broken.postgres.start_again().unwrap();
    assert_eq!(broken.count().await.unwrap(), 0);
    broken.add(1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_is_answered_for_and_what_was_begun_goes_on() {
    let broken = Broken::open().await;
    broken.fill_pool().await;
    broken.postgres.pause();
    let asked = Instant::now();
    // More than there are connections: some wait for one.
    let adds = futures_util::future::join_all((0..30).map(|id| broken.add(id)));
    let reads = futures_util::future::join_all((0..30).map(|_| broken.count()));
    let (adds, reads) = tokio::join!(adds, reads);
    assert!(asked.elapsed() < ANSWER, "{:?}", asked.elapsed());
    assert!(
        adds.iter()
            .all(|outcome| matches!(outcome, Err(Error::Unavailable(_))))
    );
    assert!(
        reads
            .iter()
            .all(|outcome| matches!(outcome, Err(Error::Unavailable(_))))
    );
    broken.postgres.resume();
    broken.eventually().await;
    // Those that had a connection may have been written, each once; a resend shows which.
    for id in 0..30 {
        match broken.add(id).await {
            Ok(_) => {}
            Err(error) => assert_eq!(error.constraint(), Some("note_pkey"), "{error}"),
        }
    }
    assert_eq!(broken.count().await.unwrap(), 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_does_not_wait_for_ever_for_a_server_that_hangs() {
    let broken = Broken::open().await;
    broken.fill_pool().await;
    broken.postgres.pause();
    assert!(broken.count().await.is_err());
    tokio::time::timeout(PATIENCE, broken.database.close())
        .await
        .unwrap();
    assert!(matches!(broken.count().await, Err(Error::Closed)));
}

/// Killed at any moment, a server has what was answered Ok, and all or nothing of the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_what_was_committed_outlives_a_kill() {
    let broken = Broken::open().await;
    let mut acknowledged = Vec::new();
    for round in 0..4i64 {
        let first = tokio::sync::Notify::new();
        let adding = async {
            let mut done = Vec::new();
            for at in 0..100_000 {
                // Two rows or none.
                let id = round * 1_000_000 + at * 2;
                let outcome = broken
                    .database
                    .transaction(move |tx| {
                        Box::pin(async move {
                            tx.execute(ADD, params![id]).await?;
                            tx.execute(ADD, params![id + 1]).await
                        })
                    })
                    .await;
                match outcome {
                    Ok(_) => {
                        done.push(id);
                        first.notify_one();
                    }
                    Err(error) => {
                        assert!(matches!(error, Error::Unavailable(_)), "{error}");
                        break;
                    }
                }
            }
            done
        };
        let killing = async {
            tokio::time::timeout(PATIENCE, first.notified())
                .await
                .expect("something is written");
            tokio::time::sleep(Duration::from_millis(150 + 70 * round as u64)).await;
            tokio::task::block_in_place(|| broken.postgres.kill().unwrap());
        };
        let (done, ()) = tokio::join!(adding, killing);
        assert!(!done.is_empty());
        acknowledged.extend(done);
        broken.postgres.start_again().unwrap();
        broken.eventually().await;
        let rows = broken
            .database
            .query("SELECT id FROM note ORDER BY id", vec![])
            .await
            .unwrap();
        let ids: std::collections::BTreeSet<i64> = rows.iter().map(|row| row.get(0).unwrap()).collect();
        assert!(acknowledged.iter().all(|id| ids.contains(id)), "I1");
        assert!(ids.iter().all(|id| ids.contains(&(id ^ 1))), "all or nothing");
    }
}
