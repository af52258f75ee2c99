//! The handle: reads, transactions and readiness, each passed on to the engine.
//!
//! The larger futures of the engines are boxed. Else the compiler proves again for each function around them that all of their
//! state may cross threads. That was a third of api-server's build time.

mod clock;
mod erase;
mod fleet;
mod ids;
mod open;
mod snapshot;
mod transaction;

use std::sync::Arc;

use futures_util::{FutureExt, future::BoxFuture};

use self::transaction::EngineTransaction;
pub use self::{
    fleet::{FORGET_FLEET, FleetIdentity},
    snapshot::Snapshot,
    transaction::{Transaction, TransactionFuture},
};
use crate::{Error, LATEST_VERSION, Row, Sql, Value, postgres::Postgres, sqlite::Sqlite};

/// The handle; cloning it is cheap.
#[derive(Clone)]
pub struct Database {
    engine: Engine,
    ids: Arc<ids::Ids>,
}

/// The engine under a handle.
#[derive(Clone)]
pub enum Engine {
    /// A file of this process alone.
    Sqlite(Sqlite),
    /// A server that many processes share.
    Postgres(Postgres),
}

impl Database {
    /// The engine, for the journal's batch append.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The engine's own text of a statement, where the engines keep something in different ways.
    pub fn text(&self, on_sqlite: &'static str, on_postgres: &'static str) -> &'static str {
        match &self.engine {
            Engine::Sqlite(_) => on_sqlite,
            Engine::Postgres(_) => on_postgres,
        }
    }

    /// The server's clock, epoch milliseconds; `None` on SQLite, which has no clock of its own.
    ///
    /// # Errors
    /// The engine's.
    pub async fn clock_ms(&self) -> Result<Option<i64>, Error> {
        const CLOCK: &str = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)";
        match &self.engine {
            Engine::Sqlite(_) => Ok(None),
            Engine::Postgres(_) => {
                let row = self.query_first(CLOCK, Vec::new()).await?;
                row.map(|row| row.get(0)).transpose()
            }
        }
    }

    /// Rows of one reading statement.
    ///
    /// # Errors
    /// The engine's.
    pub async fn query(&self, sql: impl Into<Sql>, params: Vec<Value>) -> Result<Vec<Row>, Error> {
        let sql = traced(sql.into());
        let asked = match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.query(sql, params).boxed(),
            Engine::Postgres(postgres) => postgres.query(sql, params).boxed(),
        };
        asked.await
    }

    /// The first row of one reading statement, if there is one.
    ///
    /// # Errors
    /// The engine's.
    pub async fn query_first(&self, sql: impl Into<Sql>, params: Vec<Value>) -> Result<Option<Row>, Error> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// Runs a closure's statements as one transaction: committed (and synced) when it returns `Ok`, rolled back when it
    /// returns `Err`. Once begun it runs to its end, also when this future is dropped.
    ///
    /// The closure awaits nothing but its own statements: on SQLite it runs on the writer's thread, and the next batch
    /// of messages waits for it. After a refused statement the closure can only return `Err`: PostgreSQL accepts no
    /// further statement then, and so does SQLite here. A statement that may be refused says `ON CONFLICT DO NOTHING`.
    ///
    /// SQLite runs transactions one by one; those that wait together share a commit, and a refused one is rolled back alone.
    /// PostgreSQL runs them concurrently (READ COMMITTED). So a transaction locks the rows that it decides by: its first
    /// statement locks the row that the decision hangs on ([`Transaction::lock`]), or the decision stands in the write
    /// (`UPDATE … WHERE status = 'waiting'`), or a constraint holds it.
    ///
    /// ```ignore
    /// database.transaction(move |tx| Box::pin(async move {
    ///     tx.execute("UPDATE consult SET status = $1 WHERE id = $2", params!["finished", id]).await?;
    ///     Ok::<_, Error>(())
    /// })).await?;
    /// ```
    ///
    /// # Errors
    /// The closure's, or the commit's.
    pub async fn transaction<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'t, 'c> FnOnce(&'t mut Transaction<'c>) -> TransactionFuture<'t, T, E> + Send + 'static,
    {
        let (work, outcome) = erase::erase(work);
        outcome.after(self.run(work).await)
    }

    /// Not generic, so that an engine's transaction is compiled once.
    fn run(&self, work: erase::Work) -> BoxFuture<'_, Result<(), erase::Failed>> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite
                .transaction(|open| transaction::run(work, EngineTransaction::Sqlite(open)))
                .boxed(),
            Engine::Postgres(postgres) => postgres
                .transaction(|open| transaction::run(work, EngineTransaction::Postgres(open)))
                .boxed(),
        }
    }

    /// A new id of a sequence. Ids are allocated in blocks, so a restart may leave some unused.
    ///
    /// # Errors
    /// The engine's.
    pub async fn allocate_id(&self, sequence: &'static str) -> Result<i64, Error> {
        self.ids.allocate(self, sequence).await
    }

    /// The version of the schema in force; 0 in an empty database.
    ///
    /// # Errors
    /// The engine's.
    pub async fn schema_version(&self) -> Result<i64, Error> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.schema_version().boxed().await,
            Engine::Postgres(postgres) => postgres.schema_version().boxed().await,
        }
    }

    /// Whether a write would succeed now: by the last write's outcome when it is fresh, else by a write that changes
    /// nothing.
    ///
    /// # Errors
    /// Why not.
    pub async fn is_writable(&self) -> Result<(), Error> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.is_writable().boxed().await,
            Engine::Postgres(postgres) => postgres.is_writable().boxed().await,
        }
    }

    /// Whether the database answers, has the schema of this program and can be written.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub async fn is_ready(&self) -> Result<(), String> {
        match self.schema_version().await {
            // A newer schema is that of a fleet which is being upgraded.
            Ok(version) if version >= LATEST_VERSION => {
                self.is_writable().await.map_err(|error| error.to_string())
            }
            Ok(version) => Err(format!(
                "the schema has version {version}, this program needs {LATEST_VERSION}"
            )),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Finishes the work in progress and closes the engine. Further calls fail with [`Error::Closed`].
    pub async fn close(&self) {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.close().await,
            Engine::Postgres(postgres) => postgres.close().await,
        }
    }
}

/// Traces a statement, never its parameters: `database::statement=trace` in the log's filter shows what runs, and tests
/// learn which statements to explain.
fn traced(sql: Sql) -> Sql {
    tracing::trace!(target: "database::statement", sql = &*sql);
    sql
}
