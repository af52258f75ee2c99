//! A write that changes nothing, to probe whether writes succeed.
//!
//! It has a connection of its own, on which a transaction writes unless the server says otherwise: connections of the pool
//! have a default of their own, and would not notice that the server's has changed.

use std::pin::Pin;

use tokio::sync::Mutex;
use tokio_postgres::{Client, error::SqlState};

use super::Inner;
use crate::Error;

/// The locks of every message's write, a row that is rewritten, and a commit that waits for the standby.
/// A lock that is held for longer than this refuses senders, too.
const WRITE: &str = "BEGIN; SET LOCAL lock_timeout = '1s';
    LOCK TABLE conversation, entry, sent IN ROW EXCLUSIVE MODE;
    UPDATE refinery_schema_history SET name = name WHERE version = (SELECT min(version) FROM refinery_schema_history);
    COMMIT";

/// The same where rows are spread over machines: there a lock on a table is one on each of its parts.
const WRITE_DISTRIBUTED: &str = "BEGIN; SET LOCAL lock_timeout = '1s';
    UPDATE refinery_schema_history SET name = name WHERE version = (SELECT min(version) FROM refinery_schema_history);
    COMMIT";

/// Some 256 KiB of new pages: a rewritten row fits into an old page also on a full disk.
const TRY_ROOM: &str = "CREATE TEMPORARY TABLE huizhen_room AS
    SELECT number, md5(CAST(number AS TEXT)) AS filler FROM generate_series(1, 4096) AS number;
    DROP TABLE huizhen_room";

/// The connection, made when it is needed and dropped with each failure: a new one sees the settings of now.
#[derive(Default)]
pub(super) struct Probe(Mutex<Option<Client>>);

type Probing<'p> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'p>>;

impl Probe {
    /// Writes; after the disk was full also enough to need new room.
    pub(super) fn run<'p>(&'p self, inner: &'p Inner, needs_room: bool) -> Probing<'p> {
        Box::pin(async move {
            let mut kept = self.0.lock().await;
            let client = match kept.take().filter(|client| !client.is_closed()) {
                Some(client) => client,
                None => inner.connect().await?,
            };
            let write = if inner.is_distributed {
                WRITE_DISTRIBUTED
            } else {
                WRITE
            };
            if let Err(error) = client.batch_execute(write).await {
                return Err(why(&client, error.into()).await);
            }
            if needs_room {
                try_room(&client).await?;
            }
            *kept = Some(client);
            Ok(())
        })
    }
}

/// A standby refuses a statement with the words of any read-only transaction: asks which it is.
async fn why(client: &Client, error: Error) -> Error {
    let Error::ReadOnly(text) = error else {
        return error;
    };
    let asked = async {
        client.batch_execute("ROLLBACK").await?;
        client.query_one("SELECT pg_is_in_recovery()", &[]).await
    };
    match asked.await {
        Ok(row) if row.get(0) => Error::Standby(text),
        _ => Error::ReadOnly(text),
    }
}

async fn try_room(client: &Client) -> Result<(), Error> {
    match client.batch_execute(TRY_ROOM).await {
        // A role that may not make temporary tables learns from the next message whether there is room.
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => Ok(()),
        outcome => Ok(outcome?),
    }
}
