//! The failures of a batch, and whether its rows are written.

use database::Error as DatabaseError;
use tokio_postgres::error::{Severity, SqlState};

/// Why a batch must be retried, other than a stale version.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The unique key found a resend.
    Resent,
    /// The server aborted the transaction to resolve a deadlock or a serialization failure.
    Contended,
    /// Another transaction holds a conversation's row.
    Locked,
    /// The server refused a statement.
    Refused(String),
    /// The machine that has the conversation does not answer, or not as it should; the coordinator and other machines do.
    MachineAway(DatabaseError),
    /// The connection is missing or broke, or the server takes no writes now: retry later, on another connection.
    Away(DatabaseError),
}

impl From<&tokio_postgres::Error> for Trouble {
    fn from(error: &tokio_postgres::Error) -> Self {
        let Some(refusal) = error.as_db_error().filter(|_| is_refusal(error)) else {
            return Self::Away(error.into());
        };
        let code = refusal.code();
        if *code == SqlState::UNIQUE_VIOLATION {
            return Self::Resent;
        }
        if *code == SqlState::T_R_DEADLOCK_DETECTED || *code == SqlState::T_R_SERIALIZATION_FAILURE {
            return Self::Contended;
        }
        if *code == SqlState::LOCK_NOT_AVAILABLE {
            return Self::Locked;
        }
        let outage = DatabaseError::from(error);
        let class = code.code().get(..2).unwrap_or_default();
        // Outages, and class 25: an invalid transaction state.
        if outage.outage().is_some() || class == "25" {
            return Self::Away(outage);
        }
        Self::Refused(describe(error))
    }
}

impl Trouble {
    /// Of a statement that the coordinator of several machines refuses: one of them may be why. Where Citus loses its
    /// connection to a machine it reports an error of its own, and goes on.
    pub(super) fn on_machines(error: &tokio_postgres::Error) -> Self {
        let trouble = Self::from(error);
        let Some(refusal) = error.as_db_error().filter(|_| is_refusal(error)) else {
            return trouble;
        };
        let class = refusal.code().code().get(..2).unwrap_or_default();
        match trouble {
            Self::Away(away) => Self::MachineAway(away),
            // System errors and internal errors: Citus has no better names for some of the lost connections.
            Self::Refused(reason) if ["58", "XX"].contains(&class) => {
                Self::MachineAway(DatabaseError::Unavailable(reason))
            }
            other => other,
        }
    }
}

/// Whether the rows of a batch are written.
pub(super) enum Fate {
    /// They are not, for certain.
    NotWritten(Trouble),
    /// The answer to the commit was lost: they may be.
    Unknown(Trouble),
}

impl Fate {
    /// After a failed statement before the commit, or one that is its own transaction.
    pub(super) fn of_statement(error: &tokio_postgres::Error) -> Self {
        // The server answered: the transaction is aborted.
        if is_refusal(error) {
            Self::NotWritten(error.into())
        } else {
            Self::unknown(describe(error))
        }
    }

    /// After a failed call that commits on the machine of the conversation. A refusal that comes from there is one; when the
    /// connection of the coordinator to it broke, the commit may have been first.
    pub(super) fn of_call(error: &tokio_postgres::Error) -> Self {
        if !is_refusal(error) {
            return Self::unknown(describe(error));
        }
        match Trouble::on_machines(error) {
            away @ Trouble::MachineAway(_) => Self::Unknown(away),
            refused => Self::NotWritten(refused),
        }
    }

    /// After a failed commit.
    pub(super) fn of_commit(error: &tokio_postgres::Error) -> Self {
        match Trouble::from(error) {
            Trouble::Contended => Self::NotWritten(Trouble::Contended),
            _ => Self::unknown(describe(error)),
        }
    }

    pub(super) fn unknown(reason: String) -> Self {
        Self::Unknown(Trouble::Away(DatabaseError::Unavailable(reason)))
    }
}

/// Whether the server refused the statement and goes on: then its transaction is aborted.
fn is_refusal(error: &tokio_postgres::Error) -> bool {
    error
        .as_db_error()
        .is_some_and(|refusal| refusal.parsed_severity() == Some(Severity::Error))
}

/// Without the detail, which may hold values.
fn describe(error: &tokio_postgres::Error) -> String {
    DatabaseError::describe(error)
}
