//! What can go wrong with a database, and whose fault it is.

use std::time::Duration;

/// An error of the database.
#[derive(Clone, Debug, thiserror::Error)]
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
    /// The disk of the database has no room left: nothing was written, and what is there can be read.
    #[error("the disk of the database is full: {0}")]
    Full(String),
    /// The database takes no writes: its file system or its server is read-only.
    #[error("the database is read-only: {0}")]
    ReadOnly(String),
    /// The server is a standby of another one, which takes the writes.
    #[error("the database server is a standby: {0}")]
    Standby(String),
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

/// Whose matter an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The caller's: other input or other settings mend it.
    Caller,
    /// The database's: it cannot do now what it could before, and may again.
    Outage(Outage),
    /// What is stored is damaged.
    Damage,
    /// A fault of the program or the engine.
    Fault,
}

/// Why the database cannot be used now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// There is no connection or no answer.
    Away,
    /// Another program or transaction holds what is needed.
    Busy,
    /// There is no room left.
    Full,
    /// It takes no writes.
    ReadOnly,
    /// The server is a standby.
    Standby,
}

impl Outage {
    /// Whether reading goes on.
    pub const fn is_readable(self) -> bool {
        matches!(self, Self::Full | Self::ReadOnly | Self::Standby)
    }

    /// When to try again.
    pub const fn retry_after(self) -> Duration {
        match self {
            // A transaction takes milliseconds.
            Self::Busy => Duration::from_secs(1),
            // A restart or a failover.
            Self::Away | Self::Standby => Duration::from_secs(5),
            // Somebody has to make room, or to lift a lock.
            Self::Full | Self::ReadOnly => Duration::from_secs(30),
        }
    }

    /// What the operator does.
    pub const fn cure(self) -> &'static str {
        match self {
            Self::Away => "start the database, or correct host and port in the URL",
            Self::Busy => "find who holds the lock: on PostgreSQL in pg_locks, for a file with lsof",
            Self::Full => "free or add disk space (df -h); the service goes on by itself",
            Self::ReadOnly => {
                "let the database take writes: remount a read-only file system; on PostgreSQL look at \
                 default_transaction_read_only, which some providers switch on when the disk is full"
            }
            Self::Standby => {
                "name all servers in the URL (postgres://user@db1,db2/huizhen), or promote this one if the primary is gone"
            }
        }
    }
}

impl Error {
    /// Whose matter it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Url(_) | Self::Violation(_) | Self::Copy(_) | Self::Backup(_) => Kind::Caller,
            Self::Unavailable(_) | Self::Closed => Kind::Outage(Outage::Away),
            Self::Busy(_) => Kind::Outage(Outage::Busy),
            Self::Full(_) => Kind::Outage(Outage::Full),
            Self::ReadOnly(_) => Kind::Outage(Outage::ReadOnly),
            Self::Standby(_) => Kind::Outage(Outage::Standby),
            Self::Damaged(_) | Self::DamagedEntry { .. } | Self::DamagedPage(_) => Kind::Damage,
            Self::Open(_)
            | Self::Engine(_)
            | Self::Refused
            | Self::Column { .. }
            | Self::Suspended
            | Self::Panicked => Kind::Fault,
        }
    }

    /// Why the database cannot be used now, if that is what went wrong.
    pub fn outage(&self) -> Option<Outage> {
        match self.kind() {
            Kind::Outage(outage) => Some(outage),
            _ => None,
        }
    }

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
            None => sqlite_failure(&error),
        }
    }
}

/// SQLite's own code says what happened; where it says no more than that a write failed, see `sqlite::worker`.
fn sqlite_failure(error: &rusqlite::Error) -> Error {
    use rusqlite::ErrorCode;
    let told = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Error::Full(told),
        Some(ErrorCode::ReadOnly) => Error::ReadOnly(told),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Busy(told),
        _ => Error::Engine(told),
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
