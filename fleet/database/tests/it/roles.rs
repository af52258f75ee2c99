//! Servers that take no writes, and servers that change places: each new connection finds the one that takes writes, and
//! readiness knows when there is none.

use database::{Database, Engine, Error, Outage, params};
use testkit::postgres::{Options, Postgres};

use crate::{migrated, unwritable, writable};

const ADD: &str = "INSERT INTO note (id) VALUES ($1)";

async fn add(database: &Database, id: i64) -> Result<u64, Error> {
    database
        .transaction(move |tx| Box::pin(async move { tx.execute(ADD, params![id]).await }))
        .await
}

async fn count(database: &Database) -> Result<i64, Error> {
    let row = database.query_first("SELECT count(*) FROM note", vec![]).await?;
    row.unwrap().get(0)
}

fn blocking<T>(work: impl FnOnce() -> anyhow::Result<T>) -> T {
    tokio::task::block_in_place(work).unwrap()
}

/// The address of a database on two servers.
fn both(first: &Postgres, second: &Postgres) -> String {
    format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/huizhen?sslmode=disable",
        first.port(),
        second.port()
    )
}

async fn primary() -> Postgres {
    let primary = Postgres::start(Options::default()).unwrap();
    primary.create_database("huizhen", None).unwrap();
    migrated(primary.url("huizhen")).await.unwrap();
    primary
        .psql("huizhen", "CREATE TABLE note (id BIGINT NOT NULL PRIMARY KEY)")
        .unwrap();
    primary
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_connection_follows_the_server_that_takes_writes() {
    let old = primary().await;
    let new = blocking(|| Postgres::standby_of(&old));
    for parameters in ["", "&target_session_attrs=read-write"] {
        // The standby first: it answers, and is passed over.
        let url = format!("{}{parameters}", both(&new, &old));
        let database = Database::open(&url).await.unwrap();
        add(&database, i64::from(parameters.is_empty())).await.unwrap();
        database.close().await;
    }
    let database = Database::open(&both(&old, &new)).await.unwrap();
    let Engine::Postgres(server) = database.engine() else {
        panic!("no server");
    };
    writable(&database).await;
    let lane = server.connect().await.unwrap();
    blocking(|| old.await_standby());
    old.kill().unwrap();
    // The standby alone accepts no writes, and is not read from either: it may lag.
    let error = unwritable(&database).await;
    assert_eq!(error.outage(), Some(Outage::Standby), "{error}");
    assert!(
        error.to_string().contains(&format!("127.0.0.1:{}", old.port())),
        "{error}"
    );
    assert_eq!(
        add(&database, 2).await.unwrap_err().outage(),
        Some(Outage::Standby)
    );
    assert!(count(&database).await.is_err());
    assert!(lane.is_closed());
    blocking(|| new.promote());
    writable(&database).await;
    add(&database, 2).await.unwrap();
    let lane = server.connect().await.unwrap();
    lane.execute(ADD, &[&3i64]).await.unwrap();
    // The old one is back, first in the URL.
    blocking(|| old.follow(&new));
    add(&database, 4).await.unwrap();
    writable(&database).await;
    let fresh = Database::open(&both(&old, &new)).await.unwrap();
    add(&fresh, 5).await.unwrap();
    writable(&fresh).await;
    assert_eq!(count(&fresh).await.unwrap(), 6);
    // Back again: nothing remembers a server for good.
    blocking(|| new.await_standby());
    new.kill().unwrap();
    blocking(|| old.promote());
    for (at, database) in [&database, &fresh].into_iter().enumerate() {
        writable(database).await;
        add(database, 6 + at as i64).await.unwrap();
    }
}

/// A machine that takes connections and says nothing, as one that hangs does: the next server is tried beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_keeps_nobody_from_the_next_one() {
    let server = primary().await;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/huizhen?sslmode=disable",
        silent.local_addr().unwrap().port(),
        server.port()
    );
    let database = Database::open(&url).await.unwrap();
    for id in 0..20 {
        add(&database, id).await.unwrap();
    }
    database.is_ready().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_alone_is_read_from_and_not_ready_until_it_is_promoted() {
    let old = primary().await;
    let standby = blocking(|| Postgres::standby_of(&old));
    let url = standby.url("huizhen");
    let refused = Database::open(&format!("{url}&target_session_attrs=read-write")).await;
    assert!(
        refused
            .err()
            .unwrap()
            .to_string()
            .contains("follows another server")
    );
    let database = Database::open(&url).await.unwrap();
    assert_eq!(count(&database).await.unwrap(), 0);
    assert_eq!(unwritable(&database).await.outage(), Some(Outage::Standby));
    assert_eq!(
        add(&database, 1).await.unwrap_err().outage(),
        Some(Outage::Standby)
    );
    assert!(database.is_ready().await.unwrap_err().contains("standby"));
    assert_eq!(count(&database).await.unwrap(), 0);
    blocking(|| standby.promote());
    writable(&database).await;
    add(&database, 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_made_read_only_is_not_written_past() {
    let server = primary().await;
    let database = Database::open(&server.url("huizhen")).await.unwrap();
    add(&database, 1).await.unwrap();
    let set = |value: &str| {
        let sql = format!("ALTER SYSTEM SET default_transaction_read_only = {value}");
        blocking(|| server.psql("postgres", &sql));
        blocking(|| server.psql("postgres", "SELECT pg_reload_conf()"));
    };
    set("on");
    assert_eq!(unwritable(&database).await.outage(), Some(Outage::ReadOnly));
    assert_eq!(
        add(&database, 2).await.unwrap_err().outage(),
        Some(Outage::ReadOnly)
    );
    assert_eq!(count(&database).await.unwrap(), 1);
    // It starts for reading, too.
    let fresh = Database::open(&server.url("huizhen")).await.unwrap();
    assert_eq!(count(&fresh).await.unwrap(), 1);
    assert_eq!(unwritable(&fresh).await.outage(), Some(Outage::ReadOnly));
    set("off");
    for (at, database) in [&database, &fresh].into_iter().enumerate() {
        writable(database).await;
        add(database, 2 + at as i64).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_keeps_messages_out_is_not_ready() {
    let server = primary().await;
    let database = Database::open(&server.url("huizhen")).await.unwrap();
    writable(&database).await;
    let Engine::Postgres(postgres) = database.engine() else {
        panic!("no server");
    };
    let holder = postgres.connect().await.unwrap();
    holder
        .batch_execute("SET idle_in_transaction_session_timeout = 0; BEGIN; LOCK TABLE entry")
        .await
        .unwrap();
    assert_eq!(unwritable(&database).await.outage(), Some(Outage::Busy));
    holder.batch_execute("ROLLBACK").await.unwrap();
    writable(&database).await;
}
