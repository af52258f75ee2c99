//! The node as apps meet it: real sockets, a real database of either kind, the client connection that apps get.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]
#![allow(clippy::duplicate_mod, reason = "each test runs on both engines")]

mod captured;

// All tests, once on each kind of database: the two lists are the same but for what one file cannot serve.

#[path = "."]
mod on_sqlite {
    const STORE: testkit::store::Store = testkit::store::Store::Sqlite;

    // A statement that hangs for as long as a test wants.
    mod hanging;

    mod answers;
    mod app;
    mod awaiting;
    mod bad_input;
    mod brought_in;
    mod catching_up;
    mod certificates;
    mod clients;
    mod corrections;
    mod fleet;
    mod hiding;
    mod logins;
    mod marks;
    mod messages;
    mod naming;
    mod order;
    mod proxies;
    mod records;
    mod stopping;
    mod syncing;
    mod tls;
    mod transports;
}

#[path = "."]
mod on_postgres {
    const STORE: testkit::store::Store = testkit::store::Store::Postgres;

    // Several processes' worth of nodes, which one file cannot serve.
    mod apart;
    mod planted;
    mod several_nodes;

    mod answers;
    mod app;
    mod awaiting;
    mod bad_input;
    mod brought_in;
    mod catching_up;
    mod certificates;
    mod clients;
    mod corrections;
    mod fleet;
    mod hiding;
    mod logins;
    mod marks;
    mod messages;
    mod naming;
    mod order;
    mod proxies;
    mod records;
    mod stopping;
    mod syncing;
    mod tls;
    mod transports;
}

/// Makes the database that those of the tests are copies of.
async fn migrated(url: String) -> anyhow::Result<()> {
    database::Database::open(&url).await?.close().await;
    Ok(())
}
