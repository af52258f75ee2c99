//! One transaction on one connection of the pool.

use std::{
    cell::Cell,
    future::poll_fn,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    task::Poll,
};

use deadpool_postgres::ClientWrapper;
use futures_util::{FutureExt, future::BoxFuture};
use telemetry::events::database::Event;

use super::{Postgres, TRIES, connect::Object, failure, statement};
use crate::{Error, Outage, Row, Value, health::Health};

thread_local! {
    /// Whether this thread is polling the work of a transaction. A transaction that uses the handle instead of itself
    /// would wait for locks of its own.
    static WITHIN: Cell<bool> = const { Cell::new(false) };
    /// Whether the work that was polled last waits for a statement of its transaction.
    static STATEMENT_PENDING: Cell<bool> = const { Cell::new(false) };
}

/// The error of a commit that was cancelled while it waited for a standby.
const UNCONFIRMED: &str = "a commit was not confirmed by the standby";

pub(super) fn is_within() -> bool {
    WITHIN.get()
}

/// A transaction that has begun.
pub(crate) struct Open<'c> {
    client: &'c ClientWrapper,
    health: &'c Health,
}

impl Open<'_> {
    pub(crate) async fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>, Error> {
        let rows = marked(statement::query(self.client, sql, params)).await;
        self.health.of_statement(rows)
    }

    pub(crate) async fn execute(&self, sql: &str, params: &[Value]) -> Result<u64, Error> {
        let changed = marked(statement::execute(self.client, sql, params)).await;
        self.health.of_statement(changed)
    }
}

/// Marks that the work waits for a statement.
async fn marked<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|context| {
        let polled = work.as_mut().poll(context);
        STATEMENT_PENDING.set(polled.is_pending());
        polled
    })
    .await
}

/// Drives a transaction's work, which may wait for its statements only: on SQLite it holds up all writers, and here
/// its locks would.
async fn watched<E: From<Error>>(mut work: BoxFuture<'_, Result<(), E>>) -> Result<(), E> {
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
    /// Runs work in a transaction on a connection of the pool.
    pub(crate) async fn transaction<E, F>(&self, work: F) -> Result<(), E>
    where
        E: From<Error> + Send + 'static,
        F: for<'c> FnOnce(Open<'c>) -> BoxFuture<'c, Result<(), E>> + Send + 'static,
    {
        let postgres = self.clone();
        self.run(async move {
            let connection = postgres.begin().await?;
            let open = Open {
                client: &connection,
                health: &postgres.inner.health,
            };
            let outcome = AssertUnwindSafe(watched(work(open))).catch_unwind().await;
            let outcome = outcome.unwrap_or_else(|_| {
                Event::WorkPanicked.emit();
                Err(E::from(Error::Panicked))
            });
            let unconfirmed = postgres.unconfirmed();
            let before = unconfirmed.count();
            match outcome {
                Ok(()) => match connection.batch_execute("COMMIT").await {
                    Ok(()) if unconfirmed.count() == before => {
                        postgres.inner.health.wrote();
                        Ok(())
                    }
                    Ok(()) => Err(Error::Unavailable(UNCONFIRMED.into()).into()),
                    Err(error) => {
                        let error = Error::from(error);
                        postgres.report(Err(&error));
                        // Whether or not it was committed, it can no longer be rolled back.
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
        // Respects the server's own default, though a transaction could override it.
        if self.inner.health.outage() == Some(Outage::ReadOnly) {
            self.inner.is_writable().await?;
        }
        let mut failure = Error::Unavailable("no connection".into());
        for _ in 0..TRIES {
            let connection = self.inner.connection().await?;
            match connection.batch_execute("BEGIN READ WRITE").await {
                Ok(()) => return Ok(connection),
                // It died while it was idle, or its server has become a standby.
                Err(error) => {
                    drop(Object::take(connection));
                    failure = match failure::of_begin(&error) {
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
