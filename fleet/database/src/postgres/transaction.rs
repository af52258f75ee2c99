//! One transaction on one connection of the pool.

use std::{
    cell::Cell,
    future::poll_fn,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    task::Poll,
};

use futures_util::{FutureExt, future::BoxFuture};
use telemetry::events::database::Event;

use super::{
    Postgres, TRIES,
    connect::Object,
    failure,
    statement::{self, Asked, Done, Sent},
};
use crate::{Error, Outage, Row, Sql, Value, health::Health};

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

/// The statement that begins a transaction.
const BEGIN: &str = "BEGIN READ WRITE";
/// Statements that wait for the next one, at most: more would only fill buffers.
const QUEUED: usize = 24;

/// A transaction. It begins with its first statement, in the same round trip.
pub(crate) struct Open<'c> {
    postgres: &'c Postgres,
    session: &'c mut Session,
}

/// The connection of a transaction.
struct Session {
    /// `None` after it was found dead and there was no other one.
    connection: Option<Object>,
    has_begun: bool,
    /// Statements that go with the next one.
    queued: Vec<Queued>,
    /// Whether the claim was sent and changed no row.
    is_taken: bool,
    /// A query that goes behind the next ones.
    behind: Option<Asked>,
    /// Such a query that went, and its rows.
    prefetched: Option<(Asked, Vec<Row>)>,
}

struct Queued {
    asked: Asked,
    /// The rows that it must change.
    rows: Option<u64>,
    is_claim: bool,
}

impl Open<'_> {
    pub(crate) async fn query(&mut self, sql: Sql, params: Vec<Value>) -> Result<Vec<Row>, Error> {
        Ok(self.run_one((sql, params)).await?.rows)
    }

    pub(crate) async fn execute(&mut self, sql: Sql, params: Vec<Value>) -> Result<u64, Error> {
        Ok(self.run_one((sql, params)).await?.changed)
    }

    /// Runs statements in one round trip. The outcomes end with the first error.
    pub(crate) async fn pipeline(&mut self, asked: Vec<Asked>) -> Vec<Result<Vec<Row>, Error>> {
        let outcomes = match self.run(asked).await {
            Ok(outcomes) => outcomes,
            Err(error) => vec![Err(error)],
        };
        let outcomes = outcomes.into_iter().map(|outcome| outcome.map(|done| done.rows));
        outcomes.collect()
    }

    /// Sends a statement with the next one, whose caller gets its error.
    pub(crate) async fn enqueue(&mut self, asked: Asked, rows: Option<u64>) -> Result<(), Error> {
        let is_claim = false;
        self.session.queued.push(Queued {
            asked,
            rows,
            is_claim,
        });
        if self.session.queued.len() >= QUEUED {
            self.run(Vec::new()).await?;
        }
        Ok(())
    }

    /// The same for a statement that must change one row, or nothing more is run.
    pub(crate) fn claim(&mut self, asked: Asked) {
        self.session.queued.push(Queued {
            asked,
            rows: Some(1),
            is_claim: true,
        });
    }

    /// Whether another transaction has what this one claims. The claim is sent now, unless it was before.
    pub(crate) async fn is_taken(&mut self) -> Result<bool, Error> {
        if self.session.queued.iter().any(|queued| queued.is_claim) {
            let sent = self.run(Vec::new()).await;
            if !self.session.is_taken {
                sent?;
            }
        }
        Ok(self.session.is_taken)
    }

    /// Sends a query behind the next statements. Its rows wait for [`Self::prefetched`].
    pub(crate) fn prefetch(&mut self, asked: Asked) {
        self.session.behind = Some(asked);
    }

    /// The rows of a query that was sent behind others. One that nothing went before is sent by its caller.
    pub(crate) fn prefetched(&mut self, sql: &str, params: &[Value]) -> Option<Vec<Row>> {
        let is_asked = |(text, with): &Asked| text.as_ref() == sql && with.as_slice() == params;
        let prefetched = self.session.prefetched.take_if(|(asked, _)| is_asked(asked));
        if prefetched.is_none() {
            self.session.behind.take_if(|asked| is_asked(asked));
        }
        prefetched.map(|(_, rows)| rows)
    }

    /// Whether a prefetched query was sent, and nobody asked for its rows.
    pub(crate) fn has_unasked(&self) -> bool {
        self.session.prefetched.is_some()
    }

    async fn run_one(&mut self, asked: Asked) -> Result<Done, Error> {
        let outcome = self.run(vec![asked]).await?.into_iter().next();
        outcome.unwrap_or_else(|| Err(Error::Engine("a statement has no outcome".into())))
    }

    /// Runs the queue, statements behind it, and a query behind these. An error of the queue is that of all, and so is one
    /// of the query where the statements have none.
    async fn run(&mut self, asked: Vec<Asked>) -> Result<Vec<Result<Done, Error>>, Error> {
        let (mut all, mut expected) = (Vec::new(), Vec::new());
        for queued in self.session.queued.drain(..) {
            all.push(queued.asked);
            expected.push((queued.rows, queued.is_claim));
        }
        let behind = self.session.behind.take_if(|_| !asked.is_empty());
        all.extend(asked);
        all.extend(behind.clone());
        let sent = marked(self.send(&all)).await;
        let mut outcomes = self.health().of_statement(sent)?;
        let prefetched = behind.and_then(|asked| Some((asked, outcomes.pop()?)));
        let mut outcomes = outcomes.into_iter();
        for (expected, is_claim) in expected {
            let Some(outcome) = outcomes.next() else { break };
            let changed = self.health().of_statement(outcome)?.changed;
            if is_claim && expected != Some(changed) {
                self.session.is_taken = true;
                return Err(Error::Refused);
            }
            if expected.is_some_and(|expected| expected != changed) {
                return Err(Error::Engine(format!("a statement changed {changed} rows")));
            }
        }
        let outcomes = outcomes.map(|outcome| self.health().of_statement(outcome));
        let mut until_first_error = Vec::new();
        for outcome in outcomes {
            let is_refused = outcome.is_err();
            until_first_error.push(outcome);
            if is_refused {
                return Ok(until_first_error);
            }
        }
        if let Some((asked, outcome)) = prefetched {
            let rows = self.health().of_statement(outcome)?.rows;
            self.session.prefetched = Some((asked, rows));
        }
        Ok(until_first_error)
    }

    fn health(&self) -> &Health {
        &self.postgres.inner.health
    }

    /// Sends statements, and begins the transaction with the first ones.
    async fn send(&mut self, asked: &[Asked]) -> Result<Vec<Result<Done, Error>>, Error> {
        if self.session.has_begun {
            let sent = statement::send(self.session.connection()?, None, asked).await?;
            return Ok(sent.each);
        }
        // Respects the server's own default, though a transaction could override it.
        if self.health().outage() == Some(Outage::ReadOnly) {
            self.postgres.inner.is_writable().await?;
        }
        let mut failure = Error::Unavailable("no connection".into());
        for _ in 0..TRIES {
            let sent = statement::send(self.session.connection()?, Some(BEGIN), asked).await;
            let error = match sent {
                Ok(Sent { begun: Ok(()), each }) => {
                    self.session.has_begun = true;
                    return Ok(each);
                }
                Ok(Sent {
                    begun: Err(error), ..
                }) => error,
                Err(error) => match Error::from(&error) {
                    Error::Unavailable(_) => error,
                    // A statement that cannot be prepared.
                    refused => return Err(refused),
                },
            };
            // It died while it was idle, or its server has become a standby. The statements behind it changed
            // nothing: outside of a transaction that says otherwise, a session of the pool only reads.
            self.session.connection.take().map(Object::take);
            failure = match failure::of_begin(&error) {
                standby @ (Error::Standby(_) | Error::ReadOnly(_)) => {
                    self.postgres.inner.failed(&standby);
                    standby
                }
                other => Error::Unavailable(other.to_string()),
            };
            // There is no other server to find.
            if failure.outage() == Some(Outage::Standby) && self.postgres.inner.hosts.is_alone() {
                break;
            }
            self.session.connection = Some(self.postgres.inner.connection().await?);
        }
        Err(failure)
    }
}

impl Session {
    fn connection(&self) -> Result<&Object, Error> {
        let connection = self.connection.as_ref();
        connection.ok_or_else(|| Error::Unavailable("no connection".into()))
    }

    /// Commits what was sent.
    async fn commit(&mut self, postgres: &Postgres) -> Result<(), Error> {
        let unconfirmed = postgres.unconfirmed();
        let before = unconfirmed.count();
        match self.connection()?.batch_execute("COMMIT").await {
            Ok(()) if unconfirmed.count() == before => {
                postgres.inner.health.wrote();
                Ok(())
            }
            Ok(()) => Err(Error::Unavailable(UNCONFIRMED.into())),
            Err(error) => {
                let error = Error::from(error);
                postgres.report(Err(&error));
                // Whether or not it was committed, it can no longer be rolled back.
                self.connection.take().map(Object::take);
                Err(error)
            }
        }
    }

    async fn roll_back(&mut self) {
        if let Some(connection) = &self.connection
            && connection.batch_execute("ROLLBACK").await.is_err()
        {
            self.connection.take().map(Object::take);
        }
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
            let mut session = Session {
                connection: Some(postgres.inner.connection().await?),
                has_begun: false,
                queued: Vec::new(),
                is_taken: false,
                behind: None,
                prefetched: None,
            };
            let open = Open {
                postgres: &postgres,
                session: &mut session,
            };
            let outcome = AssertUnwindSafe(watched(work(open))).catch_unwind().await;
            let mut outcome = outcome.unwrap_or_else(|_| {
                Event::WorkPanicked.emit();
                Err(E::from(Error::Panicked))
            });
            if outcome.is_ok() && !session.queued.is_empty() {
                let mut open = Open {
                    postgres: &postgres,
                    session: &mut session,
                };
                outcome = open.run(Vec::new()).await.map(drop).map_err(E::from);
            }
            match outcome {
                outcome if !session.has_begun => outcome,
                Ok(()) => Ok(session.commit(&postgres).await?),
                Err(error) => {
                    session.roll_back().await;
                    Err(error)
                }
            }
        })
        .await
    }
}
