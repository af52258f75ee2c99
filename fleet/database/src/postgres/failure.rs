//! PostgreSQL's errors as ours.

use std::error::Error as _;

use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::{Error, Violation};

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::from(&error)
    }
}

impl From<&tokio_postgres::Error> for Error {
    fn from(error: &tokio_postgres::Error) -> Self {
        if let Some(refusal) = error.as_db_error() {
            return refused(refusal);
        }
        if error.is_closed() || has_io(error) {
            return Self::Unavailable(chain(error));
        }
        Self::Engine(chain(error))
    }
}

fn refused(refusal: &DbError) -> Error {
    let code = refusal.code();
    if let Some(constraint) = violation(refusal) {
        return Error::Violation(Violation { constraint });
    }
    // The message names columns and tables; values stand in the detail, which is left out.
    let text = format!("{} ({})", refusal.message(), code.code());
    let is_busy = [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::LOCK_NOT_AVAILABLE,
    ]
    .contains(code);
    if is_busy {
        return Error::Busy(text);
    }
    if *code == SqlState::DISK_FULL {
        return Error::Full(text);
    }
    if is_in_recovery(refusal) {
        return Error::Standby(text);
    }
    if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        return Error::ReadOnly(text);
    }
    let class = code.code().get(..2).unwrap_or_default();
    if is_lost_machine(refusal, class) {
        return Error::Machine(text);
    }
    // Connection exceptions, insufficient resources, operator intervention; a session that was idle in its transaction
    // for too long.
    let is_away =
        ["08", "53", "57"].contains(&class) || *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT;
    if is_away {
        Error::Unavailable(text)
    } else {
        Error::Engine(text)
    }
}

/// Whether the coordinator of several machines has lost one of them: it goes on, so the error is no fatal one. A server has no other
/// connection to lose, and a pooler's own errors are fatal or violations of the protocol. Citus hands on that a machine shuts
/// down, and has internal and system errors for the rest: its sentence is translated, the name of its routine is not.
fn is_lost_machine(refusal: &DbError, class: &str) -> bool {
    if refusal.parsed_severity() != Some(Severity::Error) {
        return false;
    }
    let code = refusal.code();
    let is_connection = class == "08" && *code != SqlState::PROTOCOL_VIOLATION;
    let is_citus = matches!(
        refusal.routine(),
        Some("ReportResultError" | "ReportConnectionError")
    );
    let is_shutdown = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
    ]
    .contains(code);
    is_connection || is_citus && (class == "58" || *code == SqlState::INTERNAL_ERROR || is_shutdown)
}

/// Whether the server refuses since it is a standby. Its sentence is translated, the name of its routine is not.
fn is_in_recovery(refusal: &DbError) -> bool {
    refusal.routine() == Some("PreventCommandDuringRecovery")
}

/// Why a transaction that writes cannot be begun. `BEGIN READ WRITE` is no feature of a standby.
pub(super) fn of_begin(error: &tokio_postgres::Error) -> Error {
    match error.code() {
        Some(code) if *code == SqlState::FEATURE_NOT_SUPPORTED => Error::Standby(chain(error)),
        _ => Error::from(error),
    }
}

/// Whether the driver has rejected a server that answers, since it accepts no writes.
pub(super) fn is_for_want_of_writes(error: &tokio_postgres::Error) -> bool {
    let source = error
        .source()
        .and_then(|source| source.downcast_ref::<std::io::Error>());
    source.is_some_and(|io| io.kind() == std::io::ErrorKind::PermissionDenied)
}

/// The name of the broken constraint. `{table}_pkey` is PostgreSQL's own name, and the migrations name their unique
/// indexes and checks.
fn violation(refusal: &DbError) -> Option<String> {
    let code = refusal.code();
    if *code == SqlState::FOREIGN_KEY_VIOLATION {
        return Some("foreign_key".into());
    }
    if *code == SqlState::NOT_NULL_VIOLATION {
        let table = refusal.table()?;
        return Some(format!("{}_{}_not_null", plain(table, table), refusal.column()?));
    }
    if *code == SqlState::UNIQUE_VIOLATION || *code == SqlState::CHECK_VIOLATION {
        let table = refusal.table().unwrap_or_default();
        return Some(plain(refusal.constraint()?, table).to_owned());
    }
    None
}

/// A name without the number of the shard: Citus keeps each table, its constraints too, as `{name}_{number}`.
fn plain<'n>(name: &'n str, table: &str) -> &'n str {
    let number = table.rsplit('_').next().unwrap_or_default();
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let shard = name.strip_suffix(number).and_then(|name| name.strip_suffix('_'));
    shard.filter(|_| is_number).unwrap_or(name)
}

/// Whether a retry fails for ever: unknown, not allowed, wrong password, no such database.
pub(super) fn is_for_ever(error: &tokio_postgres::Error) -> bool {
    error
        .code()
        .is_some_and(|code| ["28", "3D", "42", "0A"].contains(&code.code().get(..2).unwrap_or_default()))
}

fn has_io(error: &tokio_postgres::Error) -> bool {
    let mut source = error.source();
    while let Some(error) = source {
        if error.is::<std::io::Error>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// An error with its causes.
pub(super) fn chain(error: &tokio_postgres::Error) -> String {
    if let Some(refusal) = error.as_db_error() {
        return format!("{} ({})", refusal.message(), refusal.code().code());
    }
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}

impl Error {
    /// The text of an error of PostgreSQL's, with its causes and without values: those stand in its detail.
    pub fn describe(error: &tokio_postgres::Error) -> String {
        chain(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_shard_is_no_part_of_a_name() {
        for (name, table, expected) in [
            (
                "team_doctor_pkey_102291",
                "team_doctor_102291",
                "team_doctor_pkey",
            ),
            ("clinic_name_key", "clinic", "clinic_name_key"),
            ("clinic_name_key_1", "clinic", "clinic_name_key_1"),
            ("clinic_name_key", "clinic_102291", "clinic_name_key"),
            ("account_102264", "account_102264", "account"),
            ("account_phone_key", "", "account_phone_key"),
        ] {
            assert_eq!(plain(name, table), expected, "{name} of {table}");
        }
    }
}
