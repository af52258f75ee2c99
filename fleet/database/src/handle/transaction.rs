//! A transaction in progress.

use futures_util::{FutureExt, future::BoxFuture};

use super::{
    erase::{Failed, Work},
    traced,
};
use crate::{Error, Row, Sql, Value, postgres, sqlite};

/// The future of a transaction's closure.
pub type TransactionFuture<'t, T, E> = BoxFuture<'t, Result<T, E>>;

/// A transaction in progress.
pub struct Transaction<'c> {
    engine: EngineTransaction<'c>,
    /// A statement was refused; the transaction can only be rolled back.
    refused: bool,
    /// Whether the claim changed no row; on PostgreSQL the engine knows it.
    is_taken: bool,
}

pub(super) enum EngineTransaction<'c> {
    Sqlite(sqlite::Open<'c>),
    Postgres(postgres::Open<'c>),
}

/// Runs the work of a transaction on an engine's open one.
pub(super) fn run(work: Work, engine: EngineTransaction<'_>) -> BoxFuture<'_, Result<(), Failed>> {
    Box::pin(async move {
        let mut transaction = Transaction {
            engine,
            refused: false,
            is_taken: false,
        };
        work(&mut transaction).await?;
        if transaction.refused {
            return Err(Error::Refused.into());
        }
        // It may have written, and what it answered stands nowhere.
        match &transaction.engine {
            EngineTransaction::Postgres(open) if open.has_unasked() => {
                Err(Error::Engine("a query was prefetched and never asked for".to_owned()).into())
            }
            _ => Ok(()),
        }
    })
}

impl Transaction<'_> {
    /// Whether it runs on SQLite.
    pub fn is_of_file(&self) -> bool {
        matches!(self.engine, EngineTransaction::Sqlite(_))
    }

    /// As [`crate::Database::text`].
    pub fn text(&self, on_sqlite: &'static str, on_postgres: &'static str) -> &'static str {
        match self.engine {
            EngineTransaction::Sqlite(_) => on_sqlite,
            EngineTransaction::Postgres(_) => on_postgres,
        }
    }

    /// Rows of one statement.
    ///
    /// # Errors
    /// [`Error::Violation`] for a broken constraint, [`Error::Refused`] after another error, else the engine's.
    pub async fn query(&mut self, sql: impl Into<Sql>, params: Vec<Value>) -> Result<Vec<Row>, Error> {
        self.check()?;
        let sql = traced(sql.into());
        let outcome = match &mut self.engine {
            EngineTransaction::Sqlite(open) => open.query(&sql, &params),
            EngineTransaction::Postgres(open) => match open.prefetched(&sql, &params) {
                Some(rows) => Ok(rows),
                None => open.query(sql, params).boxed().await,
            },
        };
        self.refused = outcome.is_err();
        outcome
    }

    /// Prefetches a [`Self::query`] that comes later: on PostgreSQL it is sent behind the next statements, in their round trip,
    /// and `query` has its rows then. For one whose place in the order of locks is behind these statements, which touches
    /// none of their rows, and which is needed whatever they answer: a transaction that does not ask for it is refused.
    pub fn prefetch(&mut self, sql: &'static str, params: Vec<Value>) {
        if let EngineTransaction::Postgres(open) = &mut self.engine {
            open.prefetch((traced(sql.into()), params));
        }
    }

    /// The first row of one statement, if there is one.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub async fn query_first(
        &mut self,
        sql: impl Into<Sql>,
        params: Vec<Value>,
    ) -> Result<Option<Row>, Error> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// Runs one statement; returns the number of rows that it changed.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub async fn execute(&mut self, sql: impl Into<Sql>, params: Vec<Value>) -> Result<u64, Error> {
        self.check()?;
        let sql = traced(sql.into());
        let outcome = match &mut self.engine {
            EngineTransaction::Sqlite(open) => open.execute(&sql, &params),
            EngineTransaction::Postgres(open) => open.execute(sql, params).boxed().await,
        };
        self.refused = outcome.is_err();
        outcome
    }

    /// Runs statements in one round trip, in their order, for when none decides whether the next one runs. Rows of each; the
    /// last outcome is the first error.
    pub async fn pipeline(&mut self, asked: Vec<(&'static str, Vec<Value>)>) -> Vec<Result<Vec<Row>, Error>> {
        if let Err(error) = self.check() {
            return vec![Err(error)];
        }
        let asked = asked
            .into_iter()
            .map(|(sql, params)| (traced(sql.into()), params));
        let outcomes = match &mut self.engine {
            EngineTransaction::Sqlite(open) => {
                let mut outcomes = Vec::new();
                for (sql, params) in asked {
                    outcomes.push(open.query(&sql, &params));
                    if outcomes.last().is_some_and(Result::is_err) {
                        break;
                    }
                }
                outcomes
            }
            EngineTransaction::Postgres(open) => open.pipeline(asked.collect()).boxed().await,
        };
        self.refused = outcomes.last().is_some_and(Result::is_err);
        outcomes
    }

    /// Runs one statement that decides nothing. On PostgreSQL it is sent with the next one, in its order, and an error of it
    /// is then the next one's; so none that a constraint may refuse belongs here.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub async fn enqueue(&mut self, sql: impl Into<Sql>, params: Vec<Value>) -> Result<(), Error> {
        self.enqueue_for(sql.into(), params, None).await
    }

    /// The same for a statement that changes one row, or the transaction fails.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub async fn enqueue_one(&mut self, sql: impl Into<Sql>, params: Vec<Value>) -> Result<(), Error> {
        self.enqueue_for(sql.into(), params, Some(1)).await
    }

    /// The same for the first statement of a transaction, which claims it: where it changes no row, nothing of the
    /// transaction is written, and [`Self::is_taken`] says so. On PostgreSQL it is sent with the next statement.
    ///
    /// # Errors
    /// As [`Self::query`]; [`Error::Refused`], here or from the next statement, where it changed no row.
    pub async fn claim(&mut self, sql: &'static str, params: Vec<Value>) -> Result<(), Error> {
        let sql = traced(sql.into());
        let changed = match &mut self.engine {
            EngineTransaction::Postgres(open) => {
                open.claim((sql, params));
                return Ok(());
            }
            EngineTransaction::Sqlite(open) => open.execute(&sql, &params),
        };
        self.is_taken = changed.as_ref().is_ok_and(|changed| *changed != 1);
        self.refused = self.is_taken || changed.is_err();
        changed?;
        self.check()
    }

    /// Whether another transaction has what this one claims. The claim is sent now, unless it was before.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub async fn is_taken(&mut self) -> Result<bool, Error> {
        let is_taken = match &mut self.engine {
            EngineTransaction::Sqlite(_) => Ok(self.is_taken),
            EngineTransaction::Postgres(open) => open.is_taken().boxed().await,
        };
        self.refused |= !matches!(is_taken, Ok(false));
        is_taken
    }

    async fn enqueue_for(&mut self, sql: Sql, params: Vec<Value>, rows: Option<u64>) -> Result<(), Error> {
        if let EngineTransaction::Postgres(open) = &mut self.engine {
            // A refused one would be refused again.
            if self.refused {
                return Err(Error::Refused);
            }
            let outcome = open.enqueue((traced(sql), params), rows).boxed().await;
            self.refused = outcome.is_err();
            return outcome;
        }
        let changed = self.execute(sql, params).await?;
        match rows {
            Some(rows) if rows != changed => {
                self.refused = true;
                Err(Error::Engine(format!("a statement changed {changed} rows")))
            }
            _ => Ok(()),
        }
    }

    /// Rows of one `SELECT` by a key, locked to the end of the transaction. SQLite runs one transaction at a time, and needs
    /// no lock. A lock writes no row, as an `UPDATE` that changes nothing would.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub async fn lock(&mut self, sql: impl Into<Sql>, params: Vec<Value>) -> Result<Vec<Row>, Error> {
        let sql = self.locking(sql.into(), "FOR NO KEY UPDATE");
        self.query(sql, params).await
    }

    /// As [`Self::lock`]; other transactions may hold it, too. Those that change the rows wait for all of them.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub async fn lock_shared(&mut self, sql: impl Into<Sql>, params: Vec<Value>) -> Result<Vec<Row>, Error> {
        let sql = self.locking(sql.into(), "FOR SHARE");
        self.query(sql, params).await
    }

    fn locking(&self, sql: Sql, lock: &str) -> Sql {
        match self.engine {
            EngineTransaction::Sqlite(_) => sql,
            EngineTransaction::Postgres(_) => format!("{sql} {lock}").into(),
        }
    }

    /// As [`Self::lock`], for a read that follows it: the lock is sent with the next statement, and that one sees the rows
    /// as they stay to the end of the transaction. One that is not there is missing there, too.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub async fn enqueue_lock(&mut self, sql: &'static str, params: Vec<Value>) -> Result<(), Error> {
        match self.engine {
            EngineTransaction::Sqlite(_) => self.check(),
            EngineTransaction::Postgres(_) => {
                let sql = self.locking(sql.into(), "FOR NO KEY UPDATE");
                self.enqueue(sql, params).await
            }
        }
    }

    /// As [`Self::lock`]; whether there is such a row.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub async fn lock_row(&mut self, sql: impl Into<Sql>, params: Vec<Value>) -> Result<bool, Error> {
        Ok(!self.lock(sql, params).await?.is_empty())
    }

    fn check(&self) -> Result<(), Error> {
        match self.refused {
            true => Err(Error::Refused),
            false => Ok(()),
        }
    }
}
