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

    mod app;
    mod bad_input;
    mod catching_up;
    mod certificates;
    mod clients;
    mod fleet;
    mod logins;
    mod marks;
    mod messages;
    mod naming;
    mod order;
    mod proxies;
    mod stopping;
    mod syncing;
    mod transports;
}

#[path = "."]
mod on_postgres {
    const STORE: testkit::store::Store = testkit::store::Store::Postgres;

    // Several processes' worth of nodes, which one file cannot serve.
    mod several_nodes;

    mod app;
    mod bad_input;
    mod catching_up;
    mod certificates;
    mod clients;
    mod fleet;
    mod logins;
    mod marks;
    mod messages;
    mod naming;
    mod order;
    mod proxies;
    mod stopping;
    mod syncing;
    mod transports;
}

/// Makes the database that those of the tests are copies of.
async fn migrated(url: String) -> anyhow::Result<()> {
    database::Database::open(&url).await?.close().await;
    Ok(())
}
