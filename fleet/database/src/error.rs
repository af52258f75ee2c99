//! Errors of a database, and their kinds.

use std::time::Duration;

/// An error of the database.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The URL names neither engine.
    #[error("{0}")]
    Url(String),
    /// The database could not be opened.
    #[error("the database cannot be opened: {0}")]
    Open(String),
    /// A constraint refused the statement.
    #[error("constraint {} is broken", .0.constraint)]
    Violation(Violation),
    /// The engine refused or failed; its text may hold values, so it goes to the log and never to a client.
    #[error("the database failed: {0}")]
    Engine(String),
    /// The engine aborted this transaction for the sake of another one, or waited too long for a lock: nothing was
    /// written, and a retry may succeed at once.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// There is no connection, it was lost, or there was no answer in time. A transaction may still be committed.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// One of several machines of the database does not answer, and the others go on. A transaction may still be committed.
    #[error("a machine of the database does not answer: {0}")]
    Machine(String),
    /// The disk of the database has no room left: nothing was written, and reading goes on.
    #[error("the disk of the database is full: {0}")]
    Full(String),
    /// The database accepts no writes: its file system or its server is read-only.
    #[error("the database is read-only: {0}")]
    ReadOnly(String),
    /// The server is a standby of another one, which accepts the writes.
    #[error("the database server is a standby: {0}")]
    Standby(String),
    /// A statement of the transaction was refused, and its work went on and wanted to commit; nothing was written.
    #[error("a transaction went on after a statement was refused")]
    Refused,
    /// A column holds another type than expected.
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
    /// An entry is missing, or differs from the one that was written. It is never served.
    #[error("entry {seq} of conversation {conversation} is damaged: {damage}")]
    DamagedEntry {
        /// Its conversation.
        conversation: i64,
        /// Its place.
        seq: i64,
        /// The damage.
        damage: &'static str,
    },
    /// A page of a file, or of its log, differs from the one that was written. Nothing of it is served.
    #[error("{0}")]
    DamagedPage(String),
    /// A transaction awaited more than its own statements; nothing was written.
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

/// The kinds of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The caller's: other input or other settings mend it.
    Caller,
    /// The database cannot do now what it could before, and may again.
    Outage(Outage),
    /// Stored rows or pages are damaged.
    Damage,
    /// A fault of the program or the engine.
    Fault,
}

/// Why the database cannot be used now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// There is no connection or no answer.
    Away,
    /// Another program or transaction holds a needed lock.
    Busy,
    /// There is no room left.
    Full,
    /// It accepts no writes.
    ReadOnly,
    /// The server is a standby.
    Standby,
}

impl Outage {
    /// Whether reading goes on.
    pub const fn is_readable(self) -> bool {
        matches!(self, Self::Full | Self::ReadOnly | Self::Standby)
    }

    /// When to retry.
    pub const fn retry_after(self) -> Duration {
        match self {
            // A transaction takes milliseconds.
            Self::Busy => Duration::from_secs(1),
            // A restart or a failover.
            Self::Away | Self::Standby => Duration::from_secs(5),
            // The operator has to free room, or to lift a lock.
            Self::Full | Self::ReadOnly => Duration::from_secs(30),
        }
    }

    /// The operator's remedy.
    pub const fn cure(self) -> &'static str {
        match self {
            Self::Away => {
                "start the database, or correct host and port in the URL; a SQLite file that does not answer: look at its disk \
                 (dmesg, iostat)"
            }
            Self::Busy => "find who holds the lock: on PostgreSQL in pg_locks, for a file with lsof",
            Self::Full => "free or add disk space (df -h); the service goes on by itself",
            Self::ReadOnly => {
                "let the database accept writes: remount a read-only file system; on PostgreSQL look at \
                 default_transaction_read_only, which some providers switch on when the disk is full"
            }
            Self::Standby => {
                "name all servers in the URL (postgres://user@db1,db2/huizhen), or promote this one if the primary is gone"
            }
        }
    }
}

impl Error {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Url(_) | Self::Violation(_) | Self::Copy(_) | Self::Backup(_) => Kind::Caller,
            Self::Unavailable(_) | Self::Machine(_) | Self::Closed => Kind::Outage(Outage::Away),
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

    /// The outage, if it is one.
    pub fn outage(&self) -> Option<Outage> {
        match self.kind() {
            Kind::Outage(outage) => Some(outage),
            _ => None,
        }
    }

    /// The name of the broken constraint, if it is a violation.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Violation(violation) => Some(&violation.constraint),
            _ => None,
        }
    }
}
