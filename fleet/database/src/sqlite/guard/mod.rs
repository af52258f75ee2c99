//! Checks before SQLite opens the file. SQLite would silently begin a new database where a file is missing, and go on with less
//! where one is damaged.

mod lock;
mod log;
mod mark;
pub(crate) mod pages;

use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use self::log::Log;
pub(crate) use self::{
    lock::{Lock, resolve},
    mark::{Mark, MarkFile},
};
use crate::Error;

/// The smallest page: a file that is shorter has none.
const SMALLEST_PAGE_BYTES: usize = 512;
/// The page size of this program's files.
const PAGE_BYTES: usize = 4096;

const GO_ON: &str = "Restore the newest backup into another folder (huizhen restore --from FILE --data FOLDER), or go on with \
    what is before the damage (huizhen restore --before-damage, which keeps copies); docs/operations.md, Damage";

pub(crate) fn log_of(path: &Path) -> PathBuf {
    beside(path, "-wal")
}

pub(crate) fn mark_of(path: &Path) -> PathBuf {
    beside(path, "-mark")
}

pub(crate) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Locks a file for this process alone and looks at it before SQLite does. A missing file is created.
pub(crate) fn acquire(path: &Path) -> Result<Lock, Error> {
    let mut lock = Lock::beside(path)?;
    if path.exists() {
        lock.acquire_itself(path)?;
        refuse_damage(path)?;
    } else {
        refuse_damage(path)?;
        create(path)?;
        lock.acquire_itself(path)?;
    }
    forget_mark(path)?;
    Ok(lock)
}

/// Creates a file, for no other user to read: it holds what patients say. SQLite gives its log the same permissions.
fn create(path: &Path) -> Result<(), Error> {
    let created = File::options().create(true).append(true).mode(0o600).open(path);
    created
        .map(drop)
        .map_err(|error| Error::Open(format!("{}: {error}", path.display())))
}

/// Refuses a file that cannot be opened without losing acknowledged commits. No other process may have the file meanwhile.
///
/// # Errors
/// [`Error::Open`] with what to do.
pub(crate) fn refuse_damage(path: &Path) -> Result<(), Error> {
    let log = log_of(path);
    let failed = |file: &Path, error: std::io::Error| Error::Open(format!("{}: {error}", file.display()));
    let bytes = |file: &Path| match fs::metadata(file) {
        Ok(found) => Ok(Some(found.len())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(file, error)),
    };
    let log_bytes = bytes(&log)?.unwrap_or(0);
    let state = match bytes(path)? {
        None => "is missing",
        Some(0) => "is empty",
        Some(short) if short < SMALLEST_PAGE_BYTES as u64 => "was cut off",
        Some(_) => {
            let found = Log::read(&log, page_bytes(path)).map_err(|error| failed(&log, error))?;
            return match complaint(found, Mark::read(&mark_of(path))) {
                Some(complaint) => Err(Error::Open(format!("{}: {complaint}. {GO_ON}", log.display()))),
                None => Ok(()),
            };
        }
    };
    if log_bytes == 0 {
        return Ok(());
    }
    Err(Error::Open(format!(
        "{} {state}, and its log {} has {log_bytes} bytes: a start would make an empty database and remove the log. Put the \
         database file back beside its log, or restore the newest backup into another folder (huizhen restore --from FILE \
         --data FOLDER); docs/operations.md, Damage",
        path.display(),
        log.display()
    )))
}

/// The damage of a log.
fn complaint(log: Log, mark: Option<Mark>) -> Option<String> {
    match log {
        Log::BadHeader => {
            Some("its header is damaged, and commits that were acknowledged stand behind it".to_owned())
        }
        Log::BadFrame { frame, committed } => Some(format!(
            "its frame {frame} is damaged, and commits that were acknowledged stand behind it; SQLite would go on with what \
             was committed up to frame {committed}"
        )),
        Log::Empty | Log::Whole { .. } => mark?.complaint(log),
    }
}

/// The page size of a database file, by its header.
pub(crate) fn page_bytes(path: &Path) -> usize {
    let mut header = [0; 18];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    let bytes = match usize::from(u16::from_be_bytes([header[16], header[17]])) {
        1 => 65_536,
        bytes => bytes,
    };
    if read.is_ok() && bytes.is_power_of_two() && bytes >= SMALLEST_PAGE_BYTES {
        bytes
    } else {
        PAGE_BYTES
    }
}

/// Removes the mark of the log, durably: the log is about to be moved and ended.
///
/// # Errors
/// [`Error::Open`] when the mark cannot be removed.
pub(crate) fn forget_mark(path: &Path) -> Result<(), Error> {
    let mark = mark_of(path);
    mark::clear(&mark).map_err(|error| Error::Open(format!("{}: {error}", mark.display())))
}
