//! One transaction on one connection of the pool.

use std::{
    cell::Cell,
    future::poll_fn,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    task::Poll,
};

use deadpool_postgres::ClientWrapper;
use futures_util::FutureExt;

use super::{Postgres, TRIES, pool::Object, statement};
use crate::{EngineTransaction, Error, Outage, Row, Transaction, TransactionFuture, Value};

thread_local! {
    /// Whether this thread is polling the work of a transaction. A transaction that asks the handle instead of itself
    /// would wait for locks of its own.
    static WITHIN: Cell<bool> = const { Cell::new(false) };
    /// Whether what was polled last waits for a statement of its transaction.
    static STATEMENT_PENDING: Cell<bool> = const { Cell::new(false) };
}

/// What is said of a commit that was cancelled while it waited for a standby.
const UNCONFIRMED: &str = "a commit was not confirmed by the standby";

pub(super) fn is_within() -> bool {
    WITHIN.get()
}

/// A transaction that has been begun.
pub(crate) struct Open<'c> {
    client: &'c ClientWrapper,
}

impl Open<'_> {
    pub(crate) async fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>, Error> {
        marked(statement::query(self.client, sql, params)).await
    }

    pub(crate) async fn execute(&self, sql: &str, params: &[Value]) -> Result<u64, Error> {
        marked(statement::execute(self.client, sql, params)).await
    }
}

/// Remembers that what is waited for is a statement.
async fn marked<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|context| {
        let polled = work.as_mut().poll(context);
        STATEMENT_PENDING.set(polled.is_pending());
        polled
    })
    .await
}

/// Drives a transaction's work, which may wait for nothing but its statements: on SQLite it holds up everybody, and here
/// its locks would.
async fn watched<T, E: From<Error>>(mut work: TransactionFuture<'_, T, E>) -> Result<T, E> {
    poll_fn(|context| {
        STATEMENT_PENDING.set(false);
        let outer = WITHIN.replace(true);
        let polled = Unset(outer).around(|| Pin::as_mut(&mut work).poll(context));
        if polled.is_pending() && !STATEMENT_PENDING.get() {
            return Poll::Ready(Err(Error::Suspended.into()));
        }
        polled
    })
    .await
}

/// Sets [`WITHIN`] back, also when the work panics.
struct Unset(bool);

impl Unset {
    fn around<T>(self, work: impl FnOnce() -> T) -> T {
        work()
    }
}

impl Drop for Unset {
    fn drop(&mut self) {
        WITHIN.set(self.0);
    }
}

impl Postgres {
    pub(crate) async fn transaction<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'t, 'c> FnOnce(&'t mut Transaction<'c>) -> TransactionFuture<'t, T, E> + Send + 'static,
    {
        let postgres = self.clone();
        self.run(async move {
            let connection = postgres.begin().await?;
            let mut transaction = Transaction {
                engine: EngineTransaction::Postgres(Open { client: &connection }),
                health: &postgres.inner.health,
                refused: false,
            };
            let outcome = AssertUnwindSafe(watched(work(&mut transaction)))
                .catch_unwind()
                .await;
            let refused = transaction.refused;
            let outcome = match outcome {
                Ok(Ok(_)) if refused => Err(E::from(Error::Refused)),
                Ok(outcome) => outcome,
                Err(_) => {
                    tracing::error!("a transaction panicked and is rolled back");
                    Err(E::from(Error::Panicked))
                }
            };
            let unconfirmed = postgres.unconfirmed();
            let before = unconfirmed.count();
            match outcome {
                Ok(value) => match connection.batch_execute("COMMIT").await {
                    Ok(()) if unconfirmed.count() == before => {
                        postgres.inner.health.wrote();
                        Ok(value)
                    }
                    Ok(()) => Err(Error::Unavailable(UNCONFIRMED.into()).into()),
                    Err(error) => {
                        let error = Error::from(error);
                        postgres.report(Err(&error));
                        // Whether or not it was committed, nothing can be rolled back any more.
                        drop(Object::take(connection));
                        Err(error.into())
                    }
                },
                Err(error) => {
                    if connection.batch_execute("ROLLBACK").await.is_err() {
                        drop(Object::take(connection));
                    }
                    Err(error)
                }
            }
        })
        .await
    }

    /// A connection with a transaction begun on it.
    async fn begin(&self) -> Result<Object, Error> {
        // What the server's own default says is not to be written past, though a transaction could.
        if self.inner.health.outage() == Some(Outage::ReadOnly) {
            self.inner.is_writable().await?;
        }
        let mut failure = Error::Unavailable("no connection".into());
        for _ in 0..TRIES {
            let connection = self.inner.connection().await?;
            match connection.batch_execute("BEGIN READ WRITE").await {
                Ok(()) => return Ok(connection),
                // It died while it lay idle, or its server has become a standby.
                Err(error) => {
                    drop(Object::take(connection));
                    failure = match super::failure::of_begin(&error) {
                        standby @ (Error::Standby(_) | Error::ReadOnly(_)) => {
                            self.inner.failed(&standby);
                            standby
                        }
                        other => Error::Unavailable(other.to_string()),
                    };
                    // There is no other server to find.
                    if failure.outage() == Some(Outage::Standby) && self.inner.hosts.is_alone() {
                        break;
                    }
                }
            }
        }
        Err(failure)
    }
}
