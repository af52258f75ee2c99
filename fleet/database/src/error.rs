//! What can go wrong with a database, and whose fault it is.

/// An error of the database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL names no engine of ours.
    #[error("{0}")]
    Url(String),
    /// The database could not be opened.
    #[error("the database cannot be opened: {0}")]
    Open(String),
    /// A constraint refused the statement.
    #[error("constraint {} is broken", .0.constraint)]
    Violation(Violation),
    /// The engine refused or failed; what it says may hold values, so it goes to the log and never to a caller outside.
    #[error("the database failed: {0}")]
    Engine(String),
    /// The engine gave up this transaction for the sake of another one, or waited too long for a lock: nothing was
    /// written, and the same may succeed at once.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// There is no connection, it was lost, or there was no answer in time. A transaction may still be committed.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// A statement of the transaction was refused, and the work went on and wanted to commit; nothing was written.
    #[error("a transaction went on after a statement was refused")]
    Refused,
    /// A column does not hold what the code expects.
    #[error("column {column} holds no {expected}")]
    Column {
        /// Its position, from 0.
        column: usize,
        /// The type asked for.
        expected: &'static str,
    },
    /// Rows contradict each other; nothing was written.
    #[error("the database is damaged: {0}")]
    Damaged(&'static str),
    /// An entry is not there, or is not what was written. It is never served.
    #[error("entry {seq} of conversation {conversation} is damaged: {told}")]
    DamagedEntry {
        /// Its conversation.
        conversation: i64,
        /// Its place.
        seq: i64,
        /// What is wrong.
        told: &'static str,
    },
    /// A page of a file, or of its log, is not what was written. Nothing of it is served.
    #[error("{0}")]
    DamagedPage(String),
    /// A transaction awaited something else than its own statements; nothing was written.
    #[error("a transaction awaited something else than its statements")]
    Suspended,
    /// The work panicked; nothing was written.
    #[error("the work on the database panicked")]
    Panicked,
    /// One database cannot be copied to another.
    #[error("the database cannot be copied: {0}")]
    Copy(String),
    /// A backup cannot be made or restored.
    #[error("{0}")]
    Backup(String),
    /// The database was closed.
    #[error("the database is closed")]
    Closed,
}

/// A broken constraint, under the same name on every engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// `{table}_pkey` for a primary key, `{table}_{column}_{column}_key` for a unique index or constraint,
    /// `{table}_{column}_not_null` for a column that must hold something, the constraint's own name for a check,
    /// `foreign_key` for a reference.
    pub constraint: String,
}

impl Error {
    /// The name of the broken constraint, if that is what went wrong.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Violation(violation) => Some(&violation.constraint),
            _ => None,
        }
    }

    /// Whether SQLite read something that is not what was written.
    pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
        let code = error.sqlite_error().map(|error| error.extended_code);
        code == Some(rusqlite::ffi::SQLITE_IOERR_DATA)
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        if Self::is_damage(&error) {
            let place = crate::sqlite::take_damage().unwrap_or_else(|| "a page".to_owned());
            return Self::DamagedPage(format!(
                "{place} is damaged: it is not what was written, and nothing of it is served. huizhen check --deep names all that \
                 is damaged; restore the newest backup from before it; docs/operations.md, Damage"
            ));
        }
        match violation(&error) {
            Some(constraint) => Self::Violation(Violation { constraint }),
            None => Self::Engine(error.to_string()),
        }
    }
}

/// SQLite tells table and columns, not the constraint's name: build the name that PostgreSQL would give.
fn violation(error: &rusqlite::Error) -> Option<String> {
    let rusqlite::Error::SqliteFailure(failure, Some(message)) = error else {
        return None;
    };
    if failure.code != rusqlite::ErrorCode::ConstraintViolation {
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
        rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY | rusqlite::ffi::SQLITE_CONSTRAINT_ROWID => {
            format!("{table}_pkey")
        }
        rusqlite::ffi::SQLITE_CONSTRAINT_NOTNULL => format!("{table}_{}_not_null", columns[0].1),
        _ => {
            let columns: Vec<&str> = columns.iter().map(|(_, column)| *column).collect();
            format!("{table}_{}_key", columns.join("_"))
        }
    })
}
