//! Faults of a running server's database file, by another connection.

use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rusqlite::Connection;

/// How long a lock is tried for: the server's writer has it most of the time.
const BUSY_LIMIT: Duration = Duration::from_secs(5);
/// How often the log is moved into the file while that lasts.
const AGAIN: Duration = Duration::from_millis(100);

/// Holds the one lock for writing.
pub(in crate::workload::soak::faults) fn lock(path: PathBuf, length: Duration) -> Result<()> {
    let connection = open(path)?;
    connection.execute_batch("BEGIN IMMEDIATE")?;
    sleep(length);
    connection
        .execute_batch("ROLLBACK")
        .context("the lock cannot be given back")
}

/// Reads, and keeps what it reads: nothing of the log can be moved into the file beyond it.
pub(in crate::workload::soak::faults) fn hold_reader(path: PathBuf, length: Duration) -> Result<()> {
    let connection = open(path)?;
    connection.execute_batch("BEGIN")?;
    let _: i64 = connection.query_row("SELECT count(*) FROM conversation", [], |row| row.get(0))?;
    sleep(length);
    Ok(connection.execute_batch("ROLLBACK")?)
}

/// Moves the log into the file again and again, beside the server's own way of doing it.
pub(in crate::workload::soak::faults) fn checkpoint(path: PathBuf, length: Duration) -> Result<()> {
    let connection = open(path)?;
    let begun = Instant::now();
    while begun.elapsed() < length {
        let _: i64 = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(0))?;
        sleep(AGAIN);
    }
    Ok(())
}

fn open(path: PathBuf) -> Result<Connection> {
    // By the same file layer as the server's, or the pages that this moves from the log would have no checksums.
    let connection =
        database::sqlite::connect(&path).with_context(|| format!("cannot open {}", path.display()))?;
    connection.busy_timeout(BUSY_LIMIT)?;
    Ok(connection)
}
