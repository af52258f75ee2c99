//! What a server says beside its answers. One notice is an error to us: a commit whose wait for the standby was cancelled is
//! called done, and is on one machine only (invariant I1).

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use deadpool_postgres::Connect;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinHandle,
};
use tokio_postgres::{
    AsyncMessage, Client, Config, Connection, Error,
    error::{DbError, Severity},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure;

/// Where the server gives up waiting for a standby; the text is translated, this is not.
const GIVES_UP: &str = "SyncRepWaitForLSN";

/// Commits that a server called done without its standby, on any connection of one handle.
#[derive(Clone, Debug, Default)]
pub struct Unconfirmed(Arc<AtomicU64>);

impl Unconfirmed {
    /// How many there were. The notice comes before the answer to its commit: when this is the same after a commit as it
    /// was before, the commit was confirmed.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    fn note(&self, notice: &DbError) {
        let told = notice.message();
        if notice.routine() == Some(GIVES_UP) {
            self.0.fetch_add(1, Ordering::AcqRel);
            metrics::counter!("huizhen_database_unconfirmed_commits_total").increment(1);
            tracing::error!(
                told,
                "a commit is not on the standby, since its wait was cancelled; what it wrote is not acknowledged before a later \
                 commit is confirmed"
            );
        } else if notice.parsed_severity() == Some(Severity::Warning) {
            tracing::warn!(told, code = notice.code().code(), "the database warns");
        } else {
            tracing::debug!(told, "the database says");
        }
    }
}

/// Connects and sets the session up. The task that is given drives the connection to its end.
pub(super) async fn connect(
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
            // Whoever uses the client learns of it.
            Some(Err(error)) => {
                tracing::debug!(error = failure::chain(&error), "a database connection has ended");
                return;
            }
            None => return,
        }
    }
}

/// Makes the connections of a pool.
pub(super) struct Connector {
    pub(super) tls: MakeRustlsConnect,
    pub(super) unconfirmed: Unconfirmed,
    /// Statements that set a session up.
    pub(super) session: String,
}

type Connecting<'a> = Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + 'a>>;

impl Connect for Connector {
    fn connect(&self, config: &Config) -> Connecting<'_> {
        let config = config.clone();
        Box::pin(async move { connect(&config, &self.tls, &self.unconfirmed, &self.session).await })
    }
}
