//! Tests that measure their whole process, its memory or its log: a binary of its own, one test at a time.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]
#![allow(clippy::duplicate_mod, reason = "tests run on both engines")]

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[path = "../it/captured.rs"]
mod captured;

#[path = "../it"]
mod on_sqlite {
    const STORE: testkit::store::Store = testkit::store::Store::Sqlite;

    mod app;
    mod fleet;
    #[path = "../alone/stopped.rs"]
    mod stopped;
}

#[path = "../it"]
mod on_postgres {
    const STORE: testkit::store::Store = testkit::store::Store::Postgres;

    mod app;
    mod fleet;
    #[path = "../alone/stopped.rs"]
    mod stopped;
    // A server that stops, which a file cannot.
    #[path = "../alone/outage.rs"]
    mod outage;
}

/// Makes the database that those of the tests are copies of.
async fn migrated(url: String) -> anyhow::Result<()> {
    database::Database::open(&url).await?.close().await;
    Ok(())
}
