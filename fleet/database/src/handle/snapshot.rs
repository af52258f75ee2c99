//! Reading one moment of the database by many statements.

use futures_util::FutureExt;

use super::traced;
use crate::{Database, Engine, Error, Row, Sql, Value, postgres, sqlite};

/// One moment of the database: each statement sees the same rows, whatever is written meanwhile. On SQLite the log grows as
/// long as it is kept, on PostgreSQL dead rows stay.
pub struct Snapshot(Moment);

enum Moment {
    Sqlite(sqlite::Moment),
    Postgres(postgres::Moment),
}

impl Database {
    /// Begins to read the present moment, on a connection of its own. It can be kept for as long as it is needed.
    ///
    /// # Errors
    /// The engine's.
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        Ok(Snapshot(match &self.engine {
            Engine::Sqlite(sqlite) => Moment::Sqlite(sqlite.moment().boxed().await?),
            Engine::Postgres(postgres) => Moment::Postgres(postgres.moment().boxed().await?),
        }))
    }
}

impl Snapshot {
    /// Whether it is of a file.
    pub fn is_of_file(&self) -> bool {
        matches!(self.0, Moment::Sqlite(_))
    }

    /// Rows of one reading statement.
    ///
    /// # Errors
    /// The engine's. After an error nothing more can be read.
    pub async fn query(&self, sql: impl Into<Sql>, params: Vec<Value>) -> Result<Vec<Row>, Error> {
        let sql = traced(sql.into());
        match &self.0 {
            Moment::Sqlite(moment) => moment.query(sql, params).boxed().await,
            Moment::Postgres(moment) => moment.query(sql, params).boxed().await,
        }
    }

    /// Ends it. One that is dropped ends by itself soon afterwards.
    pub async fn end(self) {
        match self.0 {
            Moment::Sqlite(moment) => moment.end().await,
            Moment::Postgres(moment) => moment.end().await,
        }
    }
}
