//! Opening the file so that what is seen is durable, and nobody else writes it.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use super::checkpoint::Checkpointer;
use crate::{Error, migrations};

/// Versions before this one have a race of the write-ahead log that can corrupt the file.
const OLDEST_SQLITE: i32 = 3_051_003;

/// The writer's page cache, KiB: the interior of the indexes of some millions of entries.
const WRITER_CACHE_KIB: i32 = 64 * 1024;
/// A reader's page cache, KiB.
const READER_CACHE_KIB: i32 = 8 * 1024;
/// Statements kept prepared for a connection: more than the program has.
const STATEMENTS: usize = 512;

/// Takes the lock file beside the database: closing any other handle on the database file itself would drop SQLite's
/// own locks, and a second process must not serve the same conversations.
pub(super) fn lock(path: &Path) -> Result<File, Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock_path = PathBuf::from(name);
    let lock = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&lock_path)
        .map_err(|error| {
            Error::Open(format!(
                "{}: {error}; does its folder exist?",
                lock_path.display()
            ))
        })?;
    lock.try_lock().map_err(|error| {
        Error::Open(match error {
            std::fs::TryLockError::WouldBlock => {
                format!(
                    "{} is in use by another process; stop that one first",
                    path.display()
                )
            }
            std::fs::TryLockError::Error(error) => format!("{}: {error}", lock_path.display()),
        })
    })?;
    Ok(lock)
}

/// The connection that writes, and the checkpointer of its log.
pub(super) fn writer(path: &Path) -> Result<(Connection, Checkpointer), Error> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(Error::Open(format!(
            "SQLite {} is too old, 3.51.3 is needed",
            rusqlite::version()
        )));
    }
    let open_error = |error: rusqlite::Error| Error::Open(format!("{}: {error}", path.display()));
    let mut connection = Connection::open(path).map_err(open_error)?;
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .map_err(open_error)?;
    make_durable(&connection).map_err(open_error)?;
    connection
        .pragma_update(None, "synchronous", "FULL")
        .map_err(open_error)?;
    connection
        .pragma_update(None, "cache_size", -WRITER_CACHE_KIB)
        .map_err(open_error)?;
    connection
        .pragma_update(None, "temp_store", "MEMORY")
        .map_err(open_error)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    let checkpointer = Checkpointer::start(path, &mut connection)?;
    Ok((connection, checkpointer))
}

/// A connection that only reads.
pub(super) fn reader(path: &Path) -> Result<Connection, Error> {
    let open_error = |error: rusqlite::Error| Error::Open(format!("{}: {error}", path.display()));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(open_error)?;
    connection
        .pragma_update(None, "cache_size", -READER_CACHE_KIB)
        .map_err(open_error)?;
    connection
        .pragma_update(None, "query_only", true)
        .map_err(open_error)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Invariant I1 after a crash: a process killed in the middle of a commit's fdatasync leaves a row that is visible from
/// the page cache but not on the disk. Answering a resend from it would acknowledge what a power loss can still remove.
/// So before the first read the whole log is synced and moved into the database.
fn make_durable(connection: &Connection) -> Result<(), rusqlite::Error> {
    let (busy, _, _): (i64, i64, i64) =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    if busy == 0 {
        Ok(())
    } else {
        Err(rusqlite::Error::ExecuteReturnedResults)
    }
}

/// Brings the schema to the version of this program.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), Error> {
    let steps = migrations::steps("WITHOUT ROWID").map_err(|error| Error::Open(error.to_string()))?;
    refinery::Runner::new(&steps)
        .set_abort_divergent(true)
        .set_abort_missing(true)
        .run(connection)
        .map_err(|error| Error::Open(format!("the schema cannot be brought up to date: {error}")))?;
    Ok(())
}
