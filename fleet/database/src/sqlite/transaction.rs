//! One transaction on the writer's connection.

use std::{
    task::{Context, Poll, Waker},
    time::Instant,
};

use futures_util::future::BoxFuture;
use rusqlite::{Connection, ErrorCode, ffi};
use telemetry::events::database::{COMMIT_S, Event};

use super::{Sqlite, failure, statement, vfs};
use crate::{Error, Row, Value, health::Health};

/// A transaction that has begun.
pub(crate) struct Open<'c> {
    connection: &'c mut Connection,
    health: &'c Health,
}

impl Open<'_> {
    pub(crate) fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, Error> {
        self.health
            .of_statement(statement::query(self.connection, sql, params))
    }

    pub(crate) fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, Error> {
        self.health
            .of_statement(statement::execute(self.connection, sql, params))
    }
}

impl Sqlite {
    /// Runs work in a transaction on the writer's thread. It may share its commit with others.
    pub(crate) async fn transaction<E, F>(&self, work: F) -> Result<(), E>
    where
        E: From<Error> + Send + 'static,
        F: for<'c> FnOnce(Open<'c>) -> BoxFuture<'c, Result<(), E>> + Send + 'static,
    {
        let writer = self.inner.threads.writer().await?;
        let (inner, noted) = (self.inner.clone(), self.inner.clone());
        let work = move |connection: &mut Connection| {
            let open = Open {
                connection,
                health: &inner.health,
            };
            // Every statement is ready at once here, so the first poll is the last one.
            let mut working = work(open);
            match working.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => Err(Error::Suspended.into()),
            }
        };
        let note = move |outcome: &Result<(), Error>| match outcome {
            Ok(()) => noted.health.wrote(),
            Err(error) => {
                noted.health.failed(error);
            }
        };
        writer.share(work, note).await
    }
}

/// Rolls back a job's writes on the writer's thread, and begins its transaction again. After a failed read SQLite has
/// rolled it back already.
///
/// # Errors
/// SQLite's.
pub fn begin_again(connection: &Connection) -> Result<(), Error> {
    if !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    if let Some(log) = vfs::shared(connection) {
        log.drop_gathered();
    }
    Ok(connection.execute_batch("BEGIN IMMEDIATE")?)
}

pub(super) fn roll_back(connection: &Connection) {
    if let Err(error) = connection.execute_batch("ROLLBACK") {
        Event::RollbackFailed { error: &error }.emit();
    }
}

/// Commits, which syncs the log. After a failed sync the state of the disk is unknown: the process aborts, and the
/// next start reads the disk. A write that found no room is different: SQLite rolls the transaction back, and no reader
/// has seen any of it.
pub(super) fn commit(connection: &Connection) -> Result<(), Error> {
    let started = Instant::now();
    let committed = connection.execute_batch("COMMIT");
    COMMIT_S.record(started.elapsed().as_secs_f64());
    let Err(error) = committed else {
        return Ok(());
    };
    if error.sqlite_error_code() != Some(ErrorCode::SystemIoFailure) || failure::is_damage(&error) {
        return Err(error.into());
    }
    if error.sqlite_extended_error_code() == Some(ffi::SQLITE_IOERR_WRITE)
        && let refused @ (Error::Full(_) | Error::ReadOnly(_)) =
            failure::of_io(&vfs::system_error(connection))
    {
        return Err(refused);
    }
    Event::CommitFailed { error: &error }.emit();
    std::process::abort();
}
