//! One moment of the database, read on a connection outside the pool.

use std::sync::atomic::Ordering;

use deadpool_postgres::ClientWrapper;

use super::{Postgres, statement};
use crate::{Error, Row, Sql, Value};

/// The caller may compare rows for a while between two statements.
const BEGIN: &str =
    "SET idle_in_transaction_session_timeout = 0; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// A read transaction that has begun.
pub(crate) struct Moment(ClientWrapper);

impl Moment {
    pub(crate) async fn query(&self, sql: Sql, params: Vec<Value>) -> Result<Vec<Row>, Error> {
        statement::query(&self.0, &sql, &params).await
    }

    /// Ends it, and the connection.
    pub(crate) async fn end(self) {
        // A connection that is gone has ended it, too.
        let _ = self.0.batch_execute("ROLLBACK").await;
    }
}

impl Postgres {
    /// Begins to read one moment.
    pub(crate) async fn moment(&self) -> Result<Moment, Error> {
        if self.inner.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        let (client, driver) = self.inner.connected().await?;
        let client = ClientWrapper::new(client, driver);
        client.batch_execute(BEGIN).await?;
        // The first statement fixes the moment.
        client.batch_execute("SELECT 1").await?;
        Ok(Moment(client))
    }
}
