//! Connections to the file, set up so that visible rows are durable.

pub(super) mod migrate;

use std::{path::Path, sync::Arc, time::Instant};

use rusqlite::{Connection, OpenFlags, config::DbConfig};
use telemetry::events::database::CHECKPOINT_S;

use super::vfs::{self, Layer, Shared};
use crate::Error;

/// Versions before this one have a race of the write-ahead log that can corrupt the file.
const OLDEST_SQLITE: i32 = 3_051_003;

/// The writer's page cache, KiB: the interior of the indexes and the last pages of some thousand conversations; the
/// kernel has the rest. No more, since nearly every commit walks through the cache's whole table: splitting a page
/// gives another one the number of the page at 1 GiB for a moment (`balance_nonroot`), and SQLite then looks for pages
/// beyond the end of the file. With 64 MiB that was a sixth of the writer's time.
const WRITER_CACHE_KIB: i32 = 16 * 1024;
/// A reader's page cache, KiB.
const READER_CACHE_KIB: i32 = 8 * 1024;
/// Statements kept prepared for a connection: more than the program has.
const STATEMENTS: usize = 512;

/// The connection that writes, and the coalesced writes of its log.
pub(super) fn writer(path: &Path, layer: Layer) -> Result<(Connection, Option<Arc<Shared>>), Error> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(Error::Open(format!(
            "SQLite {} is too old, 3.51.3 is needed",
            rusqlite::version()
        )));
    }
    let open_error = |error: rusqlite::Error| named(path, error);
    let connection = layer.open_to_write(path).map_err(open_error)?;
    if layer == Layer::Sums && is_empty(path) {
        vfs::reserve(&connection)?;
    }
    connection
        .pragma_update(None, "synchronous", "FULL")
        .map_err(open_error)?;
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(open_error)?;
    if mode != "wal" {
        return Err(Error::Open(format!(
            "{}: its file system has no write-ahead log ({mode}); use a local disk",
            path.display()
        )));
    }
    if !make_durable(&connection).map_err(open_error)? {
        return Err(Error::Open(format!(
            "{}: another program is reading it; close that one first",
            path.display()
        )));
    }
    connection
        .pragma_update(None, "cache_size", -WRITER_CACHE_KIB)
        .map_err(open_error)?;
    connection
        .pragma_update(None, "temp_store", "MEMORY")
        .map_err(open_error)?;
    settle(&connection).map_err(open_error)?;
    let log = vfs::gather(&connection);
    Ok((connection, log))
}

fn named(path: &Path, error: rusqlite::Error) -> Error {
    match Error::from(error) {
        Error::Engine(error) => Error::Open(format!("{}: {error}", path.display())),
        error => Error::Open(error.to_string()),
    }
}

/// The error of an opening that names no file.
pub(super) fn opening(error: rusqlite::Error) -> Error {
    Error::Open(Error::from(error).to_string())
}

fn is_empty(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.len() == 0)
}

/// Sets up any connection. A plan depends on the text of its statement alone: else SQLite prepares a statement with
/// a range in it again each time that its bounds are bound.
///
/// A page's cells are checked when it comes from the disk: a damaged tree is refused instead of followed elsewhere.
fn settle(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

/// A connection that only reads.
pub(super) fn reader(path: &Path, layer: Layer) -> Result<Connection, Error> {
    let open_error = |error: rusqlite::Error| named(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = layer.open(path, flags).map_err(open_error)?;
    connection
        .pragma_update(None, "cache_size", -READER_CACHE_KIB)
        .map_err(open_error)?;
    connection
        .pragma_update(None, "query_only", true)
        .map_err(open_error)?;
    settle(&connection).map_err(open_error)?;
    Ok(connection)
}

/// Invariant I1 after a crash: a process killed in the middle of a commit's fdatasync leaves a row that is visible from
/// the page cache but not on the disk. Answering a resend from it would acknowledge what a power loss can still remove.
/// So before the first read the whole log is synced and moved into the database; false when a reader is in the way.
pub(super) fn make_durable(connection: &Connection) -> Result<bool, rusqlite::Error> {
    let started = Instant::now();
    let durable = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
        Ok(row.get::<_, i64>(0)? == 0)
    });
    CHECKPOINT_S.record("open", started.elapsed().as_secs_f64());
    durable
}
