//! SQLite's errors as ours.

use std::io;

use rusqlite::{ErrorCode, ffi};

use super::vfs;
use crate::{Error, Violation};

/// Whether SQLite read a page that differs from the one that was written.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    code == Some(ffi::SQLITE_IOERR_DATA)
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        if is_damage(&error) {
            let place = vfs::take_damage().unwrap_or_else(|| "a page".to_owned());
            return Self::DamagedPage(format!(
                "{place} is damaged: it is not what was written, and nothing of it is served. huizhen check --deep names all that \
                 is damaged; restore the newest backup from before it; docs/operations.md, Damage"
            ));
        }
        match violation(&error) {
            Some(constraint) => Self::Violation(Violation { constraint }),
            None => refused(&error),
        }
    }
}

/// By SQLite's own code; a failed write says no more than that, see `sqlite::transaction`.
fn refused(error: &rusqlite::Error) -> Error {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Error::Full(text),
        Some(ErrorCode::ReadOnly) => Error::ReadOnly(text),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Busy(text),
        _ => Error::Engine(text),
    }
}

/// SQLite names table and columns, not the constraint: builds the name that PostgreSQL uses.
fn violation(error: &rusqlite::Error) -> Option<String> {
    let rusqlite::Error::SqliteFailure(failure, Some(message)) = error else {
        return None;
    };
    if failure.code != ErrorCode::ConstraintViolation {
        return None;
    }
    let (_, subject) = message.split_once(": ").unwrap_or(("", "foreign_key"));
    let columns: Vec<(&str, &str)> = subject
        .split(", ")
        .filter_map(|column| column.split_once('.'))
        .collect();
    let Some((table, _)) = columns.first() else {
        // A check's name, or `index 'name'` of an index on an expression.
        let name = subject.trim_start_matches("index ").trim_matches('\'');
        return Some(name.to_owned());
    };
    Some(match failure.extended_code {
        ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => format!("{table}_pkey"),
        ffi::SQLITE_CONSTRAINT_NOTNULL => format!("{table}_{}_not_null", columns[0].1),
        _ => {
            let columns: Vec<&str> = columns.iter().map(|(_, column)| *column).collect();
            format!("{table}_{}_key", columns.join("_"))
        }
    })
}

/// The operating system's error on a file.
pub(super) fn of_io(error: &io::Error) -> Error {
    let text = error.to_string();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full(text),
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Error::ReadOnly(text),
        _ => Error::Engine(text),
    }
}
