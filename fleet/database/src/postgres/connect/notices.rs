//! Notices of a server. One of them is an error to us: a commit whose wait for the standby was cancelled is
//! reported done, and is on one machine only (invariant I1).

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use telemetry::events::database::Event;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinHandle,
};
use tokio_postgres::{
    AsyncMessage, Client, Config, Connection, Error,
    error::{DbError, Severity, SqlState},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::postgres::failure;

/// The routine in which the server stops waiting for a standby; the text is translated, the name is not.
const GIVES_UP: &str = "SyncRepWaitForLSN";
/// A statement that failed is rolled back whether or not it had begun a transaction.
const NOT_BEGUN: SqlState = SqlState::NO_ACTIVE_SQL_TRANSACTION;

/// Commits that a server reported done without its standby, on any connection of one handle.
#[derive(Clone, Debug, Default)]
pub struct Unconfirmed(Arc<AtomicU64>);

impl Unconfirmed {
    /// Their number. The notice comes before the answer to its commit: when the number is the same after a commit as
    /// before it, the commit was confirmed.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    fn note(&self, notice: &DbError) {
        let text = notice.message();
        if notice.routine() == Some(GIVES_UP) {
            self.0.fetch_add(1, Ordering::AcqRel);
            Event::UnconfirmedCommit { text }.emit();
        } else if warns(notice.parsed_severity(), notice.code()) {
            let code = notice.code().code();
            Event::ServerWarning { text, code }.emit();
        } else {
            tracing::debug!(text, "the database says");
        }
    }
}

fn warns(severity: Option<Severity>, code: &SqlState) -> bool {
    severity == Some(Severity::Warning) && *code != NOT_BEGUN
}

/// Connects and sets the session up. The returned task drives the connection to its end.
pub(crate) async fn connect(
    config: &Config,
    tls: &MakeRustlsConnect,
    unconfirmed: &Unconfirmed,
    session: &str,
) -> Result<(Client, JoinHandle<()>), Error> {
    let (client, connection) = config.connect(tls.clone()).await?;
    let driver = tokio::spawn(drive(connection, unconfirmed.clone()));
    client.batch_execute(session).await?;
    Ok((client, driver))
}

/// Drives a connection to its end.
async fn drive<S, T>(mut connection: Connection<S, T>, unconfirmed: Unconfirmed)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notice(notice))) => unconfirmed.note(&notice),
            Some(Ok(_)) => {}
            // The client's calls report it.
            Some(Err(error)) => {
                tracing::debug!(error = failure::chain(&error), "a database connection has ended");
                return;
            }
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_logged_but_for_a_rollback_of_nothing() {
        for (severity, code, is_logged) in [
            (Severity::Warning, SqlState::WARNING, true),
            (Severity::Warning, NOT_BEGUN, false),
            (Severity::Notice, SqlState::WARNING, false),
        ] {
            assert_eq!(warns(Some(severity), &code), is_logged, "{severity:?} {code:?}");
        }
        assert!(!warns(None, &SqlState::WARNING));
    }
}
