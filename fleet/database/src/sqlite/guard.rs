//! What is looked at before SQLite opens the file: SQLite would begin anew where something is missing, and go on with less
//! where something is damaged, without a word.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use super::{
    log::Log,
    mark::{self, Mark},
};
use crate::Error;

/// The smallest page: a file that is shorter has none.
const SMALLEST_PAGE_BYTES: usize = 512;
/// What this program makes.
const PAGE_BYTES: usize = 4096;

const GO_ON: &str = "Restore the newest backup into another folder (huizhen restore --from FILE --data FOLDER), or go on with \
    what is before the damage (huizhen restore --before-damage, which keeps copies); docs/operations.md, Damage";

pub(super) fn log_of(path: &Path) -> PathBuf {
    beside(path, "-wal")
}

pub(super) fn mark_of(path: &Path) -> PathBuf {
    beside(path, "-mark")
}

pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Refuses what cannot be opened without losing what was acknowledged. Nobody else may have the file meanwhile.
///
/// # Errors
/// [`Error::Open`] with what to do.
pub(super) fn refuse_damage(path: &Path) -> Result<(), Error> {
    let log = log_of(path);
    let told = |file: &Path, error: std::io::Error| Error::Open(format!("{}: {error}", file.display()));
    let bytes = |file: &Path| match fs::metadata(file) {
        Ok(found) => Ok(Some(found.len())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(told(file, error)),
    };
    let log_bytes = bytes(&log)?.unwrap_or(0);
    let state = match bytes(path)? {
        None => "is missing",
        Some(0) => "is empty",
        Some(short) if short < SMALLEST_PAGE_BYTES as u64 => "was cut off",
        Some(_) => {
            let found = Log::read(&log, page_bytes(path)).map_err(|error| told(&log, error))?;
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

/// What is wrong with a log.
pub(super) fn complaint(log: Log, mark: Option<Mark>) -> Option<String> {
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

/// The page size of a database file, as its header says it.
pub(super) fn page_bytes(path: &Path) -> usize {
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

/// Forgets how far the log was synced, for good: it is about to be moved and ended.
///
/// # Errors
/// [`Error::Open`] when the mark cannot be removed.
pub(super) fn forget_mark(path: &Path) -> Result<(), Error> {
    let mark = mark_of(path);
    mark::clear(&mark).map_err(|error| Error::Open(format!("{}: {error}", mark.display())))
}
