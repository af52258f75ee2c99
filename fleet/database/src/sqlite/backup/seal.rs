//! Adding sums to the pages of an earlier file. Every page gets shorter by eight bytes, so the whole file is rewritten
//! beside the old one, and gets its name once it is whole and synced. A kill at any moment leaves one of the two.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode};

use super::files::{self, Created, of_io, of_sqlite, refuse};
use crate::{
    Error, LATEST_VERSION,
    sqlite::{
        guard::{self, Lock, beside},
        open::{self, migrate, opening},
        vfs::{self, Layer},
    },
};

/// The longest file that a start rewrites: some ten seconds. For a longer one the operator chooses the time.
const LONGEST_AT_START_BYTES: u64 = 1024 * 1024 * 1024;
/// The room on the disk that must remain.
const LEFT_BYTES: u64 = 64 * 1024 * 1024;
/// How often progress is logged; and after how many steps of SQLite's machine the clock is read.
const LOG_EVERY: Duration = Duration::from_secs(10);
const STEPS: i32 = 1_000_000;

/// The end of the name of a file that is being written.
const PART: &str = ".sealing";

/// The outcome for a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seal {
    /// Its pages had sums already.
    Was,
    /// It was rewritten, and they have sums now.
    Done {
        /// The size of the file, bytes.
        bytes: u64,
    },
    /// They still have none.
    Without {
        /// Why, and what to do.
        reason: String,
    },
}

/// Adds sums to the pages of a file of any length. It blocks.
///
/// # Errors
/// [`Error::Open`] when another process has the file, or when it is damaged; [`Error::Backup`] when it cannot be rewritten.
pub fn seal(path: &Path) -> Result<Seal, Error> {
    let path = &guard::resolve(path)?;
    if !path.is_file() {
        return Err(Error::Open(format!("{}: no such file", path.display())));
    }
    let mut lock = guard::acquire(path)?;
    within(path, &mut lock, u64::MAX)
}

/// The same at a start, for a file that is not long. A failure leaves the file as it was, and a warning.
///
/// # Errors
/// When the file cannot be opened.
pub(crate) fn at_start(path: &Path, lock: &mut Lock) -> Result<(), Error> {
    match within(path, lock, LONGEST_AT_START_BYTES) {
        Ok(Seal::Was) => {}
        Ok(Seal::Done { bytes }) => tracing::info!(bytes, "the pages of the database have checksums now"),
        Ok(Seal::Without { reason }) => tracing::warn!("{reason}"),
        Err(error @ Error::Open(_)) => return Err(error),
        Err(error) => {
            tracing::warn!(%error, "the pages of the database have no checksums still; the next start tries again");
        }
    }
    Ok(())
}

fn within(path: &Path, lock: &mut Lock, longest_bytes: u64) -> Result<Seal, Error> {
    let part = beside(path, PART);
    // An earlier start left it and was killed, since we hold the lock.
    Created::remove(&part);
    if fs::metadata(path).is_ok_and(|found| found.len() == 0) {
        return Ok(Seal::Was);
    }
    let mut connection = Layer::Sums.open_to_write(path).map_err(opening)?;
    let Some(bytes) = unsealed_bytes(&connection).map_err(opening)? else {
        return Ok(Seal::Was);
    };
    if let Some(reason) = complaint(path, bytes, longest_bytes) {
        return Ok(Seal::Without { reason });
    }
    if !is_alone(&connection).map_err(opening)? {
        let name = path.display();
        return Ok(Seal::Without {
            reason: format!(
                "the pages of {name} have no checksums, and giving them some waits: another program has it open"
            ),
        });
    }
    tracing::info!(bytes, file = %path.display(), "the database is written anew, once, so that its pages have checksums");
    log_progress(&mut connection, &part, bytes).map_err(|error| of_sqlite(path, error))?;
    rewrite(path, connection, &part)?;
    let bytes = files::sync(&part)?;
    lock.move_to(path, || {
        fs::rename(&part, path).map_err(|error| of_io(path, &error))?;
        files::sync_folder(path)
    })?;
    Ok(Seal::Done { bytes })
}

/// The length of the file once rewritten; `None` when it has sums, is being read, or belongs to a newer program.
fn unsealed_bytes(connection: &Connection) -> Result<Option<u64>, rusqlite::Error> {
    if !open::make_durable(connection)? || migrate::version(connection)? > LATEST_VERSION {
        return Ok(None);
    }
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
    let pages = number("PRAGMA page_count")? - number("PRAGMA freelist_count")?;
    let bytes = u64::try_from(pages * number("PRAGMA page_size")?).unwrap_or(0);
    Ok((!vfs::has_sums(connection)).then_some(bytes))
}

/// Whether no other process has the file open: one that kept the old file would remove the new one's log at its end. This
/// ends the log.
fn is_alone(connection: &Connection) -> Result<bool, rusqlite::Error> {
    let ended =
        connection.pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get::<_, String>(0));
    match ended {
        Ok(mode) => Ok(mode == "delete"),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Why a file is not rewritten now.
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

fn log_progress(connection: &mut Connection, part: &Path, bytes: u64) -> Result<(), rusqlite::Error> {
    let (part, mut logged) = (part.to_owned(), Instant::now());
    let log = move || {
        if logged.elapsed() >= LOG_EVERY {
            logged = Instant::now();
            let written = fs::metadata(&part).map_or(0, |found| found.len());
            tracing::info!(written, of = bytes, "the database is being written anew");
        }
        false
    };
    connection.progress_handler(STEPS, Some(log))
}

/// Rewrites a file, and closes the connection, which ends its log. The new file keeps the owner and permissions.
fn rewrite(path: &Path, connection: Connection, part: &Path) -> Result<(), Error> {
    let created = Created::new(part)?;
    let as_it_was = || {
        let found = fs::metadata(path)?;
        let (user, group) = (
            std::os::unix::fs::MetadataExt::uid(&found),
            std::os::unix::fs::MetadataExt::gid(&found),
        );
        std::os::unix::fs::chown(part, Some(user), Some(group))?;
        fs::set_permissions(part, found.permissions())
    };
    as_it_was().map_err(|error| of_io(part, &error))?;
    let failed = |error: rusqlite::Error| of_sqlite(path, error);
    connection
        .execute("VACUUM INTO ?1", [vfs::vacuum_target(part, Layer::Sums)])
        .map_err(failed)?;
    connection.close().map_err(|(_, error)| failed(error))?;
    let failed = |error: rusqlite::Error| of_sqlite(part, error);
    let written = Layer::Sums.open_to_write(part).map_err(failed)?;
    // A file with sums that was later written without them says so, and so does its copy.
    written.pragma_update(None, "application_id", 0).map_err(failed)?;
    let found: String = written
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(failed)?;
    if found != "ok" || !vfs::has_sums(&written) {
        return refuse(format!("{} is not whole: {found}", part.display()));
    }
    written.close().map_err(|(_, error)| failed(error))?;
    created.keep();
    Ok(())
}
