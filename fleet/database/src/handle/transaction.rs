//! A transaction in progress.

use futures_util::future::BoxFuture;

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
        };
        work(&mut transaction).await?;
        match transaction.refused {
            true => Err(Error::Refused.into()),
            false => Ok(()),
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
            EngineTransaction::Postgres(open) => open.query(&sql, &params).await,
        };
        self.refused = outcome.is_err();
        outcome
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
            EngineTransaction::Postgres(open) => open.execute(&sql, &params).await,
        };
        self.refused = outcome.is_err();
        outcome
    }

    fn check(&self) -> Result<(), Error> {
        match self.refused {
            true => Err(Error::Refused),
            false => Ok(()),
        }
    }
}
