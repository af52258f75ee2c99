//! A copy of the file at one moment, also while a process serves it, and a file that begins from such a copy.
//!
//! A copy is read by a connection of this program's own SQLite, the same library that serves the file: it keeps to the
//! same locks, sees one snapshot, and holds nobody up. Only the log grows meanwhile, and a server that is started
//! meanwhile says that somebody reads the file.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use super::open;
use crate::{Error, LATEST_VERSION};

/// What was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backup {
    /// The size of the copy, bytes.
    pub bytes: u64,
    /// The version of its schema.
    pub schema_version: i64,
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
    // While nobody serves the file, nobody shall begin: a first opener recovers it.
    let _lock = open::lock_unless_served(path)?;
    let part = beside(to, &format!(".{}.part", std::process::id()));
    let made = Made::new(&part)?;
    copy_to(path, &part).map_err(|error| broken(&part, &error))?;
    let schema_version = look(&part)?;
    let bytes = sync(&part)?;
    // Whoever came first keeps the name.
    create(to)?;
    fs::rename(&part, to).map_err(|error| told(to, &error))?;
    made.keep();
    sync_folder(to)?;
    Ok(Backup {
        bytes,
        schema_version,
    })
}

fn copy_to(path: &Path, part: &Path) -> Result<(), rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // It runs as one read; the file that it writes to is there and empty.
    connection.execute("VACUUM INTO ?1", [part.to_string_lossy()])?;
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
    let _lock = open::lock(path)?;
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
    let bytes = sync(&part)?;
    fs::rename(&part, path).map_err(|error| told(path, &error))?;
    made.keep();
    sync_folder(path)?;
    Ok(Backup {
        bytes,
        schema_version: LATEST_VERSION,
    })
}

fn rewrite(part: &Path, statements: &[String]) -> Result<(), Error> {
    let failed = |error: rusqlite::Error| broken(part, &error);
    let mut connection = Connection::open(part).map_err(failed)?;
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
fn look(part: &Path) -> Result<i64, Error> {
    let failed = |error: rusqlite::Error| broken(part, &error);
    let connection = Connection::open(part).map_err(failed)?;
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

/// A file that is removed again unless it is kept.
struct Made<'p>(Option<&'p Path>);

impl<'p> Made<'p> {
    fn new(path: &'p Path) -> Result<Self, Error> {
        create(path)?;
        Ok(Self(Some(path)))
    }

    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        if let Some(path) = self.0 {
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
}

/// A new file for nobody else to read: it holds what patients say.
fn create(path: &Path) -> Result<(), Error> {
    let made = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    made.map(drop).map_err(|error| told(path, &error))
}

fn sync(path: &Path) -> Result<u64, Error> {
    let synced = File::open(path).and_then(|file| {
        file.sync_all()?;
        Ok(file.metadata()?.len())
    });
    synced.map_err(|error| told(path, &error))
}

/// Makes a file's name durable.
fn sync_folder(path: &Path) -> Result<(), Error> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| told(folder, &error))
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn refuse<T>(told: String) -> Result<T, Error> {
    Err(Error::Backup(told))
}

fn told(path: &Path, error: &io::Error) -> Error {
    Error::Backup(format!("{}: {error}", path.display()))
}

fn broken(path: &Path, error: &rusqlite::Error) -> Error {
    Error::Backup(format!("{}: {error}", path.display()))
}
