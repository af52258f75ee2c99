//! Going on with the commits before the damage of a log. Nothing is overwritten: the work is done on copies, and the damaged
//! files are kept under other names.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::{
    files::{self, Created, of_io, of_sqlite, refuse},
    look,
    restore::rewrite,
};
use crate::{
    Error, LATEST_VERSION,
    sqlite::{
        guard::{self, Lock, beside},
        vfs::Layer,
    },
};

/// A database that goes on, and the damaged files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvaged {
    /// Entries of all conversations that were saved.
    pub entries: i64,
    /// The damaged files, under their new names.
    pub kept: Vec<PathBuf>,
}

/// Makes a whole database of a file whose log is damaged, with the commits before the damage, and runs `statements`
/// on it before it gets its name. `now_ms` goes into the names of the damaged files. It blocks.
///
/// The log may have been moved into the database beyond the damage; then the commits before it do not fit the database. So
/// both are tried, the database with those commits and the database alone; of the whole ones the one with more entries
/// becomes the database.
///
/// # Errors
/// [`Error::Backup`] when the log is not damaged, or when neither is whole; [`Error::Open`] when another process has it.
pub fn restore_before_damage(path: &Path, statements: &[String], now_ms: i64) -> Result<Salvaged, Error> {
    let path = &guard::resolve(path)?;
    let mut lock = Lock::beside(path)?;
    if !path.is_file() {
        return refuse(format!("{}: there is no database", path.display()));
    }
    lock.acquire_itself(path)?;
    match guard::refuse_damage(path) {
        Err(Error::Open(damage)) => tracing::warn!(damage, "going on with the commits before the damage"),
        Err(error) => return Err(error),
        Ok(()) => {
            return refuse(format!(
                "{}: its log is not damaged, so nothing has to be left out; start the server",
                path.display()
            ));
        }
    }
    let log = guard::log_of(path);
    let with_log = Try::new(path, Some(&log), ".before-damage")?;
    let without = Try::new(path, None, ".without-log")?;
    let tries = [with_log.open(), without.open()];
    let best = match &tries {
        [Ok(with), Ok(without)] if without > with => 1,
        [Ok(_), _] => 0,
        [Err(_), Ok(_)] => 1,
        [Err(first), Err(second)] => {
            return refuse(format!(
                "{}: the commits before the damage do not make a whole database ({first}; without the log: {second}); restore a backup",
                path.display()
            ));
        }
    };
    let entries = tries.into_iter().nth(best).unwrap_or(Ok(0))?;
    let chosen = if best == 0 { &with_log } else { &without };
    rewrite(&chosen.path, statements)?;
    files::sync(&chosen.path)?;
    let mut kept = Vec::new();
    for name in [path.clone(), log] {
        if name.exists() {
            let to = beside(&name, &format!(".damaged-{now_ms}"));
            fs::rename(&name, &to).map_err(|error| of_io(&name, &error))?;
            kept.push(to);
        }
    }
    guard::forget_mark(path)?;
    fs::rename(&chosen.path, path).map_err(|error| of_io(path, &error))?;
    files::sync_folder(path)?;
    Ok(Salvaged { entries, kept })
}

/// A copy that may turn out to be whole. Dropping it removes it, unless it was renamed.
struct Try {
    path: PathBuf,
}

impl Try {
    fn new(database: &Path, log: Option<&Path>, end: &str) -> Result<Self, Error> {
        let path = beside(database, end);
        // An earlier try left it and was killed, since we hold the lock.
        Created::remove(&path);
        let copy = Self { path };
        copy_private(database, &copy.path)?;
        if let Some(log) = log.filter(|log| log.exists()) {
            copy_private(log, &guard::log_of(&copy.path))?;
        }
        Ok(copy)
    }

    /// Lets SQLite recover the copy; returns the number of entries of a whole database of ours.
    fn open(&self) -> Result<i64, Error> {
        let failed = |error: rusqlite::Error| of_sqlite(&self.path, error);
        let connection = Layer::current().open_to_write(&self.path).map_err(failed)?;
        connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(failed)?;
        drop(connection);
        let version = look(&self.path)?;
        if version > LATEST_VERSION {
            return refuse(format!(
                "it has schema version {version}, which is newer than this program's {LATEST_VERSION}; use the newer program"
            ));
        }
        let connection = Layer::current().open_to_write(&self.path).map_err(failed)?;
        connection
            .query_row("SELECT count(*) FROM entry", [], |row| row.get(0))
            .map_err(failed)
    }
}

impl Drop for Try {
    fn drop(&mut self) {
        Created::remove(&self.path);
    }
}

fn copy_private(from: &Path, to: &Path) -> Result<(), Error> {
    files::create(to)?;
    let copied = || -> io::Result<u64> {
        let mut copy = File::options().write(true).open(to)?;
        io::copy(&mut File::open(from)?, &mut copy)
    };
    copied().map(drop).map_err(|error| of_io(to, &error))
}
