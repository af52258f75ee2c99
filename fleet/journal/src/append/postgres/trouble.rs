//! What may go wrong with a batch, and what it leaves behind.

use database::Error as DatabaseError;
use tokio_postgres::error::{Severity, SqlState};

/// Why sends must be tried again, when it was not just that their conversation moved.
#[derive(Debug)]
pub(in crate::append) enum Trouble {
    /// The unique key has found a resend.
    Resent,
    /// The server chose this transaction to end a deadlock, or could not put it in order with others.
    Contended,
    /// Somebody holds the row of a conversation.
    Locked,
    /// The server does not take a statement.
    Refused(String),
    /// There is no connection, it broke, or its server takes no writes now: another connection or another moment may do.
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
        // No resources, an operator, a standby; a transaction that is not in the state that it should be in.
        if outage.outage().is_some() || class == "25" {
            return Self::Away(outage);
        }
        Self::Refused(told(error))
    }
}

/// Whether the rows of a batch are there.
pub(super) enum Fate {
    /// They are not.
    NotWritten(Trouble),
    /// The answer to the commit was lost.
    Unknown(String),
}

impl Fate {
    /// Of a statement that the commit, if there was one, comes after or with.
    pub(super) fn of_statement(error: &tokio_postgres::Error) -> Self {
        // The server lives and has seen to it that the commit was none.
        if is_refusal(error) {
            Self::NotWritten(error.into())
        } else {
            Self::Unknown(told(error))
        }
    }

    /// Of the commit itself.
    pub(super) fn of_commit(error: &tokio_postgres::Error) -> Self {
        match Trouble::from(error) {
            Trouble::Contended => Self::NotWritten(Trouble::Contended),
            _ => Self::Unknown(told(error)),
        }
    }
}

/// Whether the server has refused the statement and lives: then its transaction is none.
fn is_refusal(error: &tokio_postgres::Error) -> bool {
    error
        .as_db_error()
        .is_some_and(|refusal| refusal.parsed_severity() == Some(Severity::Error))
}

/// Without values, which stand in the detail.
fn told(error: &tokio_postgres::Error) -> String {
    DatabaseError::describe(error)
}
