//! I7 in bytes: the memory that sessions cost which ask for much and read nothing. A binary of its own, since it counts
//! every allocation of the process.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]
#![allow(clippy::duplicate_mod, reason = "the test runs on both engines")]

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;
/// One test at a time, since they share the count.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[path = "../it"]
mod on_sqlite {
    const STORE: testkit::store::Store = testkit::store::Store::Sqlite;

    #[allow(dead_code, reason = "the other tests use the rest")]
    mod app;
    #[allow(dead_code, reason = "the other tests use the rest")]
    mod fleet;
    #[path = "../memory/stopped.rs"]
    mod stopped;
}

#[path = "../it"]
mod on_postgres {
    const STORE: testkit::store::Store = testkit::store::Store::Postgres;

    #[allow(dead_code, reason = "the other tests use the rest")]
    mod app;
    #[allow(dead_code, reason = "the other tests use the rest")]
    mod fleet;
    #[path = "../memory/stopped.rs"]
    mod stopped;
}

/// Makes the database that those of the tests are copies of.
async fn migrated(url: String) -> anyhow::Result<()> {
    database::Database::open(&url).await?.close().await;
    Ok(())
}
