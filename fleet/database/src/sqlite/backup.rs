//! A copy of the file at one moment, also while a process serves it, and a file that begins from such a copy.
//!
//! A copy is read by a connection of this program's own SQLite, the same library that serves the file: it keeps to the
//! same locks, sees one snapshot, and holds nobody up. Only the log grows meanwhile, and a server that is started
//! meanwhile says that somebody reads the file.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rusqlite::OpenFlags;

use super::{
    guard::{self, beside},
    lock::{self, Lock},
    open,
    vfs::{self, Layer},
};
use crate::{Error, LATEST_VERSION, checksum};

/// What was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// The size of the copy, bytes.
    pub bytes: u64,
    /// The version of its schema.
    pub schema_version: i64,
    /// Entries that are not what was written: they are copied as they are, and never served.
    pub damaged_entries: u64,
    /// What earlier backups to the same folder had left when they were killed; it is removed.
    pub removed: Vec<PathBuf>,
}

/// Copies the database file at `path` to a new file, which is checked, synced and then named `to`. It blocks.
///
/// # Errors
/// [`Error::Backup`] when there is no database at `path`, when something is at `to`, or when the copy is not whole.
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
    let path = &lock::resolve(path)?;
    // While nobody serves the file, nobody shall begin: a first opener recovers it. What a start refuses is no backup.
    let lock = Lock::unless_served(path)?;
    if lock.is_some() {
        guard::refuse_damage(path)?;
    }
    let removed = remove_left_parts(to);
    let part = beside(to, &format!(".{}{PART}", std::process::id()));
    let made = Made::new(&part)?;
    copy_to(path, &part).map_err(|error| broken(&part, error))?;
    let schema_version = look(&part)?;
    let damaged_entries = damaged_entries(&part)?;
    let bytes = sync(&part)?;
    // Whoever came first keeps the name.
    create(to)?;
    fs::rename(&part, to).map_err(|error| told(to, &error))?;
    made.keep();
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
    // It runs as one read, which verifies each page; the file that it writes to is there and empty.
    connection.execute("VACUUM INTO ?1", [vfs::vacuum_target(part, layer)])?;
    Ok(())
}

/// Makes a database file at `path` from a backup. Its schema is brought to [`LATEST_VERSION`] and `statements` are run on
/// it in one transaction before it gets its name, so nobody ever opens it without their effect. It blocks.
///
/// # Errors
/// [`Error::Backup`] when `from` is no whole backup of Huizhen or newer than this program, or when there is a database at
/// `path`; [`Error::Open`] when another process has it.
pub fn restore(from: &Path, path: &Path, statements: &[String]) -> Result<Backup, Error> {
    if !from.is_file() {
        return refuse(format!("{}: no such file", from.display()));
    }
    let log = beside(from, "-wal");
    if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        return refuse(format!(
            "{} has a log beside it ({}): it is a database in use or one that crashed, not a backup; make one with \
             `huizhen backup`",
            from.display(),
            log.display()
        ));
    }
    let path = &lock::resolve(path)?;
    let _lock = Lock::beside(path)?;
    for name in [path.to_owned(), beside(path, "-wal"), beside(path, "-journal")] {
        if name.exists() {
            return refuse(format!(
                "{} is there already, and a restore overwrites nothing; name another data folder, or move this one away",
                name.display()
            ));
        }
    }
    let part = beside(path, ".restoring");
    // One that an earlier restore left: it was killed, for the lock is ours.
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(told(&part, &error)),
        _ => {}
    }
    let made = Made::new(&part)?;
    let mut backup = File::open(from).map_err(|error| told(from, &error))?;
    let mut copy = File::options()
        .write(true)
        .open(&part)
        .map_err(|error| told(&part, &error))?;
    io::copy(&mut backup, &mut copy).map_err(|error| told(&part, &error))?;
    drop(copy);
    let version = look(&part).map_err(|error| match error {
        Error::Backup(text) => {
            Error::Backup(text.replace(&part.display().to_string(), &from.display().to_string()))
        }
        other => other,
    })?;
    if version > LATEST_VERSION {
        return refuse(format!(
            "{} has schema version {version}, which is newer than this program's {LATEST_VERSION}; use the newer program",
            from.display()
        ));
    }
    rewrite(&part, statements)?;
    let damaged_entries = damaged_entries(&part)?;
    let bytes = sync(&part)?;
    // One of a database that was moved away.
    guard::forget_mark(path)?;
    fs::rename(&part, path).map_err(|error| told(path, &error))?;
    made.keep();
    sync_folder(path)?;
    Ok(Backup {
        bytes,
        schema_version: LATEST_VERSION,
        damaged_entries,
        removed: Vec::new(),
    })
}

pub(super) fn rewrite(part: &Path, statements: &[String]) -> Result<(), Error> {
    let failed = |error: rusqlite::Error| broken(part, error);
    let mut connection = Layer::current().open_to_write(part).map_err(failed)?;
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get(0))
        .map_err(failed)?;
    if mode != "delete" {
        return refuse(format!("{}: its log cannot be ended ({mode})", part.display()));
    }
    open::migrate(&mut connection)?;
    let transaction = connection.transaction().map_err(failed)?;
    for sql in statements {
        transaction.execute_batch(sql).map_err(failed)?;
    }
    transaction.commit().map_err(failed)?;
    connection.close().map_err(|(_, error)| failed(error))
}

/// Whether a file is a whole database of ours; the version of its schema.
pub(super) fn look(part: &Path) -> Result<i64, Error> {
    let failed = |error: rusqlite::Error| broken(part, error);
    let connection = Layer::current()
        .open(part, OpenFlags::default())
        .map_err(failed)?;
    let found: String = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(failed)?;
    if found != "ok" {
        return refuse(format!("{} is damaged: {found}", part.display()));
    }
    match open::schema_version(&connection).map_err(failed)? {
        0 => refuse(format!("{} is no database of Huizhen", part.display())),
        version => Ok(version),
    }
}

/// How many entries of a whole database are not what was written.
fn damaged_entries(part: &Path) -> Result<u64, Error> {
    let failed = |error: rusqlite::Error| broken(part, error);
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

/// What an entry's checksum is of stands in V11__entry_checksum.sql.
const DAMAGED_ENTRIES: &str = "SELECT count(*) FROM entry
    WHERE row_checksum(conversation_id, seq, sender_id, kind, created_ms, client_msg_id, mime_type, body, reply_to_seq,
        corrects_seq, extra) IS NOT CASE WHEN recalled THEN ~checksum ELSE checksum END";

/// The end of the name of a copy that is being made; before it stands the process.
const PART: &str = ".part";
/// What a copy begins with, once something was written to it.
const BEGIN: &[u8; 16] = b"SQLite format 3\0";

/// Removes what backups to the folder of `to` left when they were killed: files of ours that nobody makes any more.
fn remove_left_parts(to: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(folder_of(to)).into_iter().flatten().flatten();
    let left: Vec<PathBuf> = names
        .map(|entry| entry.path())
        .filter(|path| is_left_part(path).unwrap_or(false))
        .collect();
    for path in &left {
        tracing::warn!(file = %path.display(), "a backup that was killed had left this; it is removed");
        Made::remove(path);
    }
    left
}

/// Whether a file is named `….{pid}.part`, is a database or empty, and its process is gone.
fn is_left_part(path: &Path) -> io::Result<bool> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let pid = name
        .as_deref()
        .and_then(|name| name.strip_suffix(PART)?.rsplit_once('.'))
        .map(|(_, pid)| pid)
        .filter(|pid| !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit()));
    let Some(pid) = pid else { return Ok(false) };
    if Path::new("/proc").join(pid).exists() || !fs::symlink_metadata(path)?.is_file() {
        return Ok(false);
    }
    let mut begin = Vec::new();
    File::open(path)?
        .take(BEGIN.len() as u64)
        .read_to_end(&mut begin)?;
    Ok(begin.is_empty() || begin == BEGIN)
}

/// A file that is removed again unless it is kept.
pub(super) struct Made<'p>(Option<&'p Path>);

impl<'p> Made<'p> {
    pub(super) fn new(path: &'p Path) -> Result<Self, Error> {
        create(path)?;
        Ok(Self(Some(path)))
    }

    pub(super) fn keep(mut self) {
        self.0 = None;
    }

    /// Removes a file that was being made, and what SQLite may have beside it.
    pub(super) fn remove(path: &Path) {
        for name in [
            path.to_owned(),
            beside(path, "-journal"),
            beside(path, "-wal"),
            beside(path, "-shm"),
        ] {
            let _ = fs::remove_file(name);
        }
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        if let Some(path) = self.0 {
            Self::remove(path);
        }
    }
}

/// A new file for nobody else to read: it holds what patients say.
pub(super) fn create(path: &Path) -> Result<(), Error> {
    let made = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    made.map(drop).map_err(|error| told(path, &error))
}

pub(super) fn sync(path: &Path) -> Result<u64, Error> {
    let synced = File::open(path).and_then(|file| {
        file.sync_all()?;
        Ok(file.metadata()?.len())
    });
    synced.map_err(|error| told(path, &error))
}

/// Makes a file's name durable.
pub(super) fn sync_folder(path: &Path) -> Result<(), Error> {
    let folder = folder_of(path);
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| told(folder, &error))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

pub(super) fn refuse<T>(told: String) -> Result<T, Error> {
    Err(Error::Backup(told))
}

pub(super) fn told(path: &Path, error: &io::Error) -> Error {
    Error::Backup(format!("{}: {error}", path.display()))
}

pub(super) fn broken(path: &Path, error: rusqlite::Error) -> Error {
    Error::Backup(match Error::from(error) {
        Error::DamagedPage(damage) => damage,
        other => format!("{}: {other}", path.display()),
    })
}
