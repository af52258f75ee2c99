//! A copy of the file at one moment, also while a process serves it.
//!
//! A copy is read by a connection of this program's own SQLite, the same library that serves the file: it respects the
//! same locks, sees one snapshot, and holds up no writer. Only the log grows meanwhile, and a server that starts
//! meanwhile reports that another program reads the file.

mod files;
mod parts;
pub(super) mod restore;
pub(super) mod salvage;
pub(super) mod seal;

use std::{
    fs,
    path::{Path, PathBuf},
};

use rusqlite::OpenFlags;

use self::files::{Created, create, of_io, of_sqlite, refuse, sync, sync_folder};
pub use self::restore::restore;
use super::{
    guard::{self, Lock},
    open::migrate,
    vfs::{self, Layer},
};
use crate::{Error, checksum};

/// A copy that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// The size of the copy, bytes.
    pub bytes: u64,
    /// The version of its schema.
    pub schema_version: i64,
    /// Entries that differ from the ones that were written: they are copied as they are, and never served.
    pub damaged_entries: u64,
    /// Unfinished copies of killed backups to the same folder; they are removed.
    pub removed: Vec<PathBuf>,
}

/// Copies the database file at `path` to a new file, which is checked, synced and then named `to`. It blocks.
///
/// # Errors
/// [`Error::Backup`] when there is no database at `path`, when `to` exists, or when the copy is not whole.
pub fn back_up(path: &Path, to: &Path) -> Result<Backup, Error> {
    if !path.is_file() {
        return refuse(format!("{}: there is no database", path.display()));
    }
    if to.exists() {
        return refuse(format!(
            "{} is there already, and a backup overwrites nothing; name another file",
            to.display()
        ));
    }
    let path = &guard::resolve(path)?;
    // A file that no process serves stays unserved meanwhile: the first opener recovers it. A file that a start refuses is
    // not backed up.
    let lock = Lock::unless_served(path)?;
    if lock.is_some() {
        guard::refuse_damage(path)?;
    }
    let removed = parts::remove_abandoned(to);
    let part = parts::name(to);
    let created = Created::new(&part)?;
    copy_to(path, &part).map_err(|error| of_sqlite(&part, error))?;
    let schema_version = look(&part)?;
    let damaged_entries = damaged_entries(&part)?;
    let bytes = sync(&part)?;
    // The first process to create the name keeps it.
    create(to)?;
    fs::rename(&part, to).map_err(|error| of_io(to, &error))?;
    created.keep();
    sync_folder(to)?;
    Ok(Backup {
        bytes,
        schema_version,
        damaged_entries,
        removed,
    })
}

fn copy_to(path: &Path, part: &Path) -> Result<(), rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let layer = Layer::current();
    let connection = layer.open(path, flags)?;
    // It runs as one read, which verifies each page; the file that it writes to exists and is empty.
    connection.execute("VACUUM INTO ?1", [vfs::vacuum_target(part, layer)])?;
    Ok(())
}

/// The schema version of a whole database of ours; any other file is refused.
fn look(part: &Path) -> Result<i64, Error> {
    let failed = |error: rusqlite::Error| of_sqlite(part, error);
    let connection = Layer::current()
        .open(part, OpenFlags::default())
        .map_err(failed)?;
    let found: String = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(failed)?;
    if found != "ok" {
        return refuse(format!("{} is damaged: {found}", part.display()));
    }
    match migrate::version(&connection).map_err(failed)? {
        0 => refuse(format!("{} is no database of Huizhen", part.display())),
        version => Ok(version),
    }
}

/// The number of entries of a whole database that differ from the ones that were written.
fn damaged_entries(part: &Path) -> Result<u64, Error> {
    let failed = |error: rusqlite::Error| of_sqlite(part, error);
    let connection = Layer::current()
        .open(part, OpenFlags::default())
        .map_err(failed)?;
    if !connection
        .column_exists(None, "entry", "checksum")
        .map_err(failed)?
    {
        return Ok(0);
    }
    checksum::register(&connection).map_err(failed)?;
    let count: i64 = connection
        .query_row(DAMAGED_ENTRIES, [], |row| row.get(0))
        .map_err(failed)?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// The columns of an entry's checksum are those of V11__entry_checksum.sql.
const DAMAGED_ENTRIES: &str = "SELECT count(*) FROM entry
    WHERE row_checksum(conversation_id, seq, sender_id, kind, created_ms, client_msg_id, mime_type, body, reply_to_seq,
        corrects_seq, extra) IS NOT CASE WHEN recalled THEN ~checksum ELSE checksum END";
