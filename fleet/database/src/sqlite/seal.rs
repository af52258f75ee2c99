//! Giving the pages of an earlier file their sums. Every page gets shorter by eight bytes, so all of the file is written anew:
//! beside it, and it takes the old one's name when it is whole and synced. A kill at any moment leaves one of the two.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode};

use super::{
    backup::{self, Made, broken, told},
    guard::beside,
    lock::{self, Lock},
    open,
    vfs::{self, Layer},
};
use crate::{Error, LATEST_VERSION};

/// A file that is no longer is written anew at a start: some ten seconds. Of a longer one an operator says when.
const LONGEST_AT_START_BYTES: u64 = 1024 * 1024 * 1024;
/// What must be left of the disk.
const LEFT_BYTES: u64 = 64 * 1024 * 1024;
/// How often the log says how far it is; and after how many steps of SQLite's machine the clock is looked at.
const TELL: Duration = Duration::from_secs(10);
const STEPS: i32 = 1_000_000;

/// The end of the name of a file that is being written.
const PART: &str = ".sealing";

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seal {
    /// Its pages had sums already.
    Was,
    /// They have now.
    Done {
        /// The size of the file, bytes.
        bytes: u64,
    },
    /// They have none still.
    Without {
        /// Why, and what to do.
        told: String,
    },
}

/// Gives the pages of a file their sums, however long it is. It blocks.
///
/// # Errors
/// [`Error::Open`] when another process has the file, or when it is damaged; [`Error::Backup`] when it cannot be written anew.
pub fn seal(path: &Path) -> Result<Seal, Error> {
    let path = &lock::resolve(path)?;
    if !path.is_file() {
        return Err(Error::Open(format!("{}: no such file", path.display())));
    }
    let mut lock = open::take(path)?;
    within(path, &mut lock, u64::MAX)
}

/// The same at a start, of a file that is not long. What does not go well leaves the file as it was, and a warning.
///
/// # Errors
/// When the file cannot be opened.
pub(super) fn at_start(path: &Path, lock: &mut Lock) -> Result<(), Error> {
    match within(path, lock, LONGEST_AT_START_BYTES) {
        Ok(Seal::Was) => {}
        Ok(Seal::Done { bytes }) => tracing::info!(bytes, "the pages of the database have checksums now"),
        Ok(Seal::Without { told }) => tracing::warn!("{told}"),
        Err(error @ Error::Open(_)) => return Err(error),
        Err(error) => {
            tracing::warn!(%error, "the pages of the database have no checksums still; the next start tries again");
        }
    }
    Ok(())
}

fn within(path: &Path, lock: &mut Lock, longest_bytes: u64) -> Result<Seal, Error> {
    let part = beside(path, PART);
    // One that was killed may have left it; the lock is ours.
    Made::remove(&part);
    if fs::metadata(path).is_ok_and(|found| found.len() == 0) {
        return Ok(Seal::Was);
    }
    let mut connection = Layer::Sums.open_to_write(path).map_err(opening)?;
    let Some(bytes) = unsealed_bytes(&connection).map_err(opening)? else {
        return Ok(Seal::Was);
    };
    if let Some(told) = complaint(path, bytes, longest_bytes) {
        return Ok(Seal::Without { told });
    }
    if !is_alone(&connection).map_err(opening)? {
        let name = path.display();
        return Ok(Seal::Without {
            told: format!(
                "the pages of {name} have no checksums, and giving them some waits: another program has it open"
            ),
        });
    }
    tracing::info!(bytes, file = %path.display(), "the database is written anew, once, so that its pages have checksums");
    tell_progress(&mut connection, &part, bytes).map_err(|error| broken(path, error))?;
    write_anew(path, connection, &part)?;
    let bytes = backup::sync(&part)?;
    lock.move_to(path, || {
        fs::rename(&part, path).map_err(|error| told(path, &error))?;
        backup::sync_folder(path)
    })?;
    Ok(Seal::Done { bytes })
}

fn opening(error: rusqlite::Error) -> Error {
    Error::Open(Error::from(error).to_string())
}

/// How long a file will be that is to be written anew; none when it is not, or another program reads it, or a newer one's.
fn unsealed_bytes(connection: &Connection) -> Result<Option<u64>, rusqlite::Error> {
    if !open::make_durable(connection)? || open::schema_version(connection)? > LATEST_VERSION {
        return Ok(None);
    }
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
    let pages = number("PRAGMA page_count")? - number("PRAGMA freelist_count")?;
    let bytes = u64::try_from(pages * number("PRAGMA page_size")?).unwrap_or(0);
    Ok((!vfs::has_sums(connection)).then_some(bytes))
}

/// Whether nobody else has the file open: whoever kept the old one would remove the new one's log at its end. It ends the log.
fn is_alone(connection: &Connection) -> Result<bool, rusqlite::Error> {
    let ended =
        connection.pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get::<_, String>(0));
    match ended {
        Ok(mode) => Ok(mode == "delete"),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Why a file is not written anew now.
fn complaint(path: &Path, bytes: u64, longest_bytes: u64) -> Option<String> {
    let name = path.display();
    let needed = bytes + bytes / 50 + LEFT_BYTES;
    if bytes > longest_bytes {
        return Some(format!(
            "the pages of {name} have no checksums, and giving them some takes a while, for it writes {bytes} bytes: when it suits \
             you, stop the server and run huizhen migrate --page-checksums; docs/operations.md, Upgrading"
        ));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let free = vfs::free_bytes(folder.unwrap_or(Path::new(".")))?;
    (free < needed).then(|| {
        format!(
            "the pages of {name} have no checksums: giving them some needs {needed} bytes of its disk for a moment, and {free} are \
             free. Make room and start again"
        )
    })
}

fn tell_progress(connection: &mut Connection, part: &Path, bytes: u64) -> Result<(), rusqlite::Error> {
    let (part, mut told) = (part.to_owned(), Instant::now());
    let tell = move || {
        if told.elapsed() >= TELL {
            told = Instant::now();
            let written = fs::metadata(&part).map_or(0, |found| found.len());
            tracing::info!(written, of = bytes, "the database is being written anew");
        }
        false
    };
    connection.progress_handler(STEPS, Some(tell))
}

/// Writes a file anew, and closes the connection, which ends its log. What is written belongs to whom the file belongs to.
fn write_anew(path: &Path, connection: Connection, part: &Path) -> Result<(), Error> {
    let made = Made::new(part)?;
    let as_it_was = || {
        let found = fs::metadata(path)?;
        let (user, group) = (
            std::os::unix::fs::MetadataExt::uid(&found),
            std::os::unix::fs::MetadataExt::gid(&found),
        );
        std::os::unix::fs::chown(part, Some(user), Some(group))?;
        fs::set_permissions(part, found.permissions())
    };
    as_it_was().map_err(|error| told(part, &error))?;
    let failed = |error: rusqlite::Error| broken(path, error);
    connection
        .execute("VACUUM INTO ?1", [vfs::vacuum_target(part, Layer::Sums)])
        .map_err(failed)?;
    connection.close().map_err(|(_, error)| failed(error))?;
    let failed = |error: rusqlite::Error| broken(part, error);
    let written = Layer::Sums.open_to_write(part).map_err(failed)?;
    // A file that was written without sums since it had some says so, and the copy with it.
    written.pragma_update(None, "application_id", 0).map_err(failed)?;
    let found: String = written
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(failed)?;
    if found != "ok" || !vfs::has_sums(&written) {
        return backup::refuse(format!("{} is not whole: {found}", part.display()));
    }
    written.close().map_err(|(_, error)| failed(error))?;
    made.keep();
    Ok(())
}
