//! A file that begins from a backup.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use super::{
    Backup, damaged_entries,
    files::{Created, of_io, of_sqlite, refuse, sync, sync_folder},
    look,
};
use crate::{
    Error, LATEST_VERSION,
    sqlite::{
        guard::{self, Lock, beside},
        open::migrate,
        vfs::Layer,
    },
};

/// Makes a database file at `path` from a backup. Its schema is migrated to [`LATEST_VERSION`] and `statements` run on
/// it in one transaction before it gets its name, so no process opens it without their effect. It blocks.
///
/// # Errors
/// [`Error::Backup`] when `from` is not a whole backup of Huizhen or newer than this program, or when there is a database
/// at `path`; [`Error::Open`] when another process has it.
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
    let path = &guard::resolve(path)?;
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
    // An earlier restore left it and was killed, since we hold the lock.
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(of_io(&part, &error)),
        _ => {}
    }
    let created = Created::new(&part)?;
    let mut backup = File::open(from).map_err(|error| of_io(from, &error))?;
    let mut copy = File::options()
        .write(true)
        .open(&part)
        .map_err(|error| of_io(&part, &error))?;
    io::copy(&mut backup, &mut copy).map_err(|error| of_io(&part, &error))?;
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
    // The mark of a database that was moved away.
    guard::forget_mark(path)?;
    fs::rename(&part, path).map_err(|error| of_io(path, &error))?;
    created.keep();
    sync_folder(path)?;
    Ok(Backup {
        bytes,
        schema_version: LATEST_VERSION,
        damaged_entries,
        removed: Vec::new(),
    })
}

/// Ends the log of a copy, migrates it, and runs statements on it.
pub(super) fn rewrite(part: &Path, statements: &[String]) -> Result<(), Error> {
    let failed = |error: rusqlite::Error| of_sqlite(part, error);
    let mut connection = Layer::current().open_to_write(part).map_err(failed)?;
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get(0))
        .map_err(failed)?;
    if mode != "delete" {
        return refuse(format!("{}: its log cannot be ended ({mode})", part.display()));
    }
    migrate::migrate(&mut connection)?;
    let transaction = connection.transaction().map_err(failed)?;
    for sql in statements {
        transaction.execute_batch(sql).map_err(failed)?;
    }
    transaction.commit().map_err(failed)?;
    connection.close().map_err(|(_, error)| failed(error))
}
