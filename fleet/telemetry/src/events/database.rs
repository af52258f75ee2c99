//! The SQL database, on both engines.

use std::{fmt::Display, path::Path};

crate::catalogue! {
    COMMIT_S: Histogram(
        "huizhen_database_commit_seconds",
        "How long SQLite's COMMIT takes, its sync included, s",
    );
    LATE_ANSWERS: Counter(
        "huizhen_database_late_answers_total",
        "Statements that were answered for the caller before the database answered",
    );
    UNCONFIRMED_COMMITS: Counter(
        "huizhen_database_unconfirmed_commits_total",
        "Commits that PostgreSQL called done without its standby, because their wait was cancelled; they are not acknowledged",
    );
    DAMAGED_PAGES: Counter(
        "huizhen_database_damaged_pages_total",
        "Times that a page of a SQLite file or its log was read that is not what was written; nothing of it is served",
    );
    CHECKPOINT_S: HistogramBy(
        "huizhen_database_checkpoint_seconds",
        "by",
        &["open", "thread", "writer"],
        "How long SQLite's log takes to be moved into the file, s",
    );
}

const TARGET: &str = "database";

/// Reports of the database.
pub enum Event<'a> {
    /// Writes fail from now on: the begin of an outage.
    WritesFail {
        /// Why.
        error: &'a dyn Display,
        /// The operator's remedy.
        cure: &'a str,
    },
    /// Writes succeed again: its end.
    WritesSucceed,
    /// A caller was answered before the database answered.
    LateAnswer,
    /// The work of a transaction panicked.
    WorkPanicked,

    /// SQLite read a page that differs from what was written.
    DamagedPage {
        /// File and page.
        place: &'a str,
        /// It was not logged yet.
        is_new: bool,
    },
    /// A commit failed on the disk; the process aborts.
    CommitFailed {
        /// SQLite's error.
        error: &'a dyn Display,
    },
    /// SQLite did not roll back.
    RollbackFailed {
        /// SQLite's error.
        error: &'a dyn Display,
    },
    /// A checkpoint was made, or failed.
    Checkpoint {
        /// The thread.
        by: &'static str,
        /// Its duration, s.
        seconds: f64,
        /// SQLite's error.
        error: Option<&'a dyn Display>,
    },
    /// The checkpointer could not sync the database.
    CheckpointUnsynced {
        /// SQLite's result code.
        code: i32,
    },
    /// The mark of the log could not be written.
    MarkUnwritten {
        /// The system's error.
        error: &'a dyn Display,
        /// The mark's file.
        file: &'a Path,
    },
    /// The mark of the log could not be removed.
    MarkKept {
        /// Why.
        error: &'a dyn Display,
    },

    /// PostgreSQL reported a commit done without its standby.
    UnconfirmedCommit {
        /// The server's notice.
        text: &'a str,
    },
    /// PostgreSQL warned.
    ServerWarning {
        /// The server's notice.
        text: &'a str,
        /// Its code.
        code: &'a str,
    },
    /// Another server of the URL accepts the writes.
    WriterMoved {
        /// That server.
        server: &'a str,
    },
    /// The start waits for the server or its schema.
    Waiting {
        /// Why.
        missing: &'a str,
    },
    /// The server gave one connection only, so that a pooler could not be recognized.
    OneConnection {
        /// Connections that the program needs.
        needed: usize,
    },
    /// The schema is newer than the program.
    NewerSchema {
        /// The schema's version.
        schema: i64,
        /// The program's.
        program: i64,
    },
    /// The server accepts no writes at the start.
    ReadOnlyStart,
    /// The server does not sync its commits.
    FsyncOff {
        /// Its address where the database lies on several machines.
        machine: Option<&'a str>,
    },
    /// A machine of the database does not answer at a start.
    MachineAway {
        /// Its address.
        machine: &'a str,
        /// Why.
        error: &'a str,
    },
    /// A machine of the database may prepare fewer transactions than it takes connections.
    FewPrepared {
        /// Its address.
        machine: &'a str,
        /// `max_prepared_transactions`
        max_prepared: u32,
        /// `max_connections`
        max_connections: u32,
    },
    /// The role may not change some tables.
    MissingPrivileges {
        /// The role.
        role: &'a str,
        /// The tables.
        tables: &'a str,
        /// The statement that grants them.
        grant: &'a str,
    },
    /// The server did not answer while the program ended.
    UnansweredClose,
}

impl Event<'_> {
    /// Counts it and writes its line.
    pub fn emit(self) {
        match self {
            Self::WritesFail { error, cure } => {
                tracing::error!(target: TARGET, %error, cure, "the database cannot be written");
            }
            Self::WritesSucceed => tracing::info!(target: TARGET, "the database can be written again"),
            Self::LateAnswer => LATE_ANSWERS.increment(),
            Self::WorkPanicked => {
                tracing::error!(target: TARGET, "a transaction panicked and is rolled back");
            }
            sqlite @ (Self::DamagedPage { .. }
            | Self::CommitFailed { .. }
            | Self::RollbackFailed { .. }
            | Self::Checkpoint { .. }
            | Self::CheckpointUnsynced { .. }
            | Self::MarkUnwritten { .. }
            | Self::MarkKept { .. }) => sqlite.emit_sqlite(),
            postgres => postgres.emit_postgres(),
        }
    }

    fn emit_sqlite(self) {
        match self {
            Self::DamagedPage { place, is_new } => {
                DAMAGED_PAGES.increment();
                if is_new {
                    tracing::error!(
                        target: TARGET,
                        place,
                        "damage: it is not what was written, and is not served; docs/operations.md, Damage"
                    );
                }
            }
            Self::CommitFailed { error } => tracing::error!(
                target: TARGET,
                %error,
                "the disk failed during a commit; the process ends so that nothing false is acknowledged"
            ),
            Self::RollbackFailed { error } => tracing::error!(target: TARGET, %error, "a rollback failed"),
            Self::Checkpoint { by, seconds, error } => {
                CHECKPOINT_S.record(by, seconds);
                if let Some(error) = error {
                    tracing::warn!(target: TARGET, %error, by, "a checkpoint failed; the next one moves the rest");
                }
            }
            Self::CheckpointUnsynced { code } => tracing::error!(
                target: TARGET,
                code,
                "the database could not be synced; its log is kept until the writer can"
            ),
            Self::MarkUnwritten { error, file } => tracing::warn!(
                target: TARGET,
                %error,
                file = %file.display(),
                "the mark of the log cannot be written"
            ),
            Self::MarkKept { error } => tracing::error!(
                target: TARGET,
                %error,
                "the mark of the log stays, and the next start will miss the log"
            ),
            _ => {}
        }
    }

    fn emit_postgres(self) {
        match self {
            Self::UnconfirmedCommit { text } => {
                UNCONFIRMED_COMMITS.increment();
                tracing::error!(
                    target: TARGET,
                    text,
                    "a commit is not on the standby, since its wait was cancelled; what it wrote is not acknowledged before \
                     a later commit is confirmed"
                );
            }
            Self::ServerWarning { text, code } => {
                tracing::warn!(target: TARGET, text, code, "the database warns");
            }
            Self::WriterMoved { server } => {
                tracing::info!(target: TARGET, server, "another database server takes the writes now");
            }
            Self::Waiting { missing } => tracing::info!(target: TARGET, missing, "waiting for the database"),
            Self::OneConnection { needed } => tracing::warn!(
                target: TARGET,
                needed,
                "the database gives one connection and no second one: raise max_connections, or default_pool_size of \
                 PgBouncer"
            ),
            Self::NewerSchema { schema, program } => tracing::warn!(
                target: TARGET,
                schema_version = schema,
                program_version = program,
                "the schema is newer than this program, which works with what it knows of it"
            ),
            Self::ReadOnlyStart => tracing::warn!(
                target: TARGET,
                "the database takes no writes; nothing can be sent before it does"
            ),
            Self::FsyncOff { machine } => tracing::error!(
                target: TARGET,
                machine,
                "the server runs with fsync=off: a power loss takes acknowledged messages with it"
            ),
            Self::MachineAway { machine, error } => tracing::warn!(
                target: TARGET,
                machine,
                %error,
                "a machine of the database does not answer; its conversations stand still"
            ),
            Self::FewPrepared {
                machine,
                max_prepared,
                max_connections,
            } => tracing::warn!(
                target: TARGET,
                machine,
                max_prepared,
                max_connections,
                "max_prepared_transactions is less than max_connections: under load records may be refused"
            ),
            Self::MissingPrivileges { role, tables, grant } => tracing::warn!(
                target: TARGET,
                role,
                tables,
                "rows of some tables cannot be changed. {grant}"
            ),
            Self::UnansweredClose => tracing::warn!(
                target: TARGET,
                "the database does not answer; the program ends without waiting for it"
            ),
            _ => {}
        }
    }
}
