//! Going on with what is before the damage of a log. Nothing is overwritten: it is done on copies, and what was there stays
//! under other names.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::{
    backup::{self, Made, broken, told},
    guard::{self, beside},
    lock::{self, Lock},
    vfs::Layer,
};
use crate::{Error, LATEST_VERSION};

/// What was kept, and where what was there is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvaged {
    /// Entries of all conversations that are there.
    pub entries: i64,
    /// The files as they were.
    pub kept: Vec<PathBuf>,
}

/// Makes a whole database of a file whose log is damaged, with what was committed before the damage, and runs `statements`
/// on it before it gets its name. `now_ms` goes into the names of what was there. It blocks.
///
/// The log may have been moved into the database beyond the damage, and then the commits before it do not go together with
/// what is there. So both are tried, the database with them and the database alone, and the whole one with more entries is
/// taken.
///
/// # Errors
/// [`Error::Backup`] when the log is not damaged, or when neither is whole; [`Error::Open`] when another process has it.
pub fn restore_before_damage(path: &Path, statements: &[String], now_ms: i64) -> Result<Salvaged, Error> {
    let path = &lock::resolve(path)?;
    let mut lock = Lock::beside(path)?;
    if !path.is_file() {
        return backup::refuse(format!("{}: there is no database", path.display()));
    }
    lock.take_itself(path)?;
    match guard::refuse_damage(path) {
        Err(Error::Open(damage)) => tracing::warn!(damage, "going on with what is before the damage"),
        Err(error) => return Err(error),
        Ok(()) => {
            return backup::refuse(format!(
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
            return backup::refuse(format!(
                "{}: what is before the damage is no whole database ({first}; without the log: {second}); restore a backup",
                path.display()
            ));
        }
    };
    let entries = tries.into_iter().nth(best).unwrap_or(Ok(0))?;
    let chosen = if best == 0 { &with_log } else { &without };
    backup::rewrite(&chosen.path, statements)?;
    backup::sync(&chosen.path)?;
    let mut kept = Vec::new();
    for name in [path.clone(), log] {
        if name.exists() {
            let to = beside(&name, &format!(".damaged-{now_ms}"));
            fs::rename(&name, &to).map_err(|error| told(&name, &error))?;
            kept.push(to);
        }
    }
    guard::forget_mark(path)?;
    fs::rename(&chosen.path, path).map_err(|error| told(path, &error))?;
    backup::sync_folder(path)?;
    Ok(Salvaged { entries, kept })
}

/// A copy that may turn out to be whole. Removed again when it is dropped, unless it was renamed.
struct Try {
    path: PathBuf,
}

impl Try {
    fn new(database: &Path, log: Option<&Path>, end: &str) -> Result<Self, Error> {
        let path = beside(database, end);
        // One that was killed may have left it; the lock is ours.
        Made::remove(&path);
        let copy = Self { path };
        copy_private(database, &copy.path)?;
        if let Some(log) = log.filter(|log| log.exists()) {
            copy_private(log, &guard::log_of(&copy.path))?;
        }
        Ok(copy)
    }

    /// Lets SQLite take what it finds; gives the number of entries when it is a whole database of ours.
    fn open(&self) -> Result<i64, Error> {
        let failed = |error: rusqlite::Error| broken(&self.path, error);
        let connection = Layer::current().open_to_write(&self.path).map_err(failed)?;
        connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(failed)?;
        drop(connection);
        let version = backup::look(&self.path)?;
        if version > LATEST_VERSION {
            return backup::refuse(format!(
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
        Made::remove(&self.path);
    }
}

fn copy_private(from: &Path, to: &Path) -> Result<(), Error> {
    backup::create(to)?;
    let copied = || -> io::Result<u64> {
        let mut copy = File::options().write(true).open(to)?;
        io::copy(&mut File::open(from)?, &mut copy)
    };
    copied().map(drop).map_err(|error| told(to, &error))
}
