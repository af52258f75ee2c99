//! One handle on the database of a fleet: reads, transactions, migrations, and our own names for broken constraints.
//!
//! A statement is written once, for every engine: `$1` parameters, `ON CONFLICT`, `RETURNING`, BIGINT, TEXT, BOOLEAN
//! and BYTEA columns. An engine is one folder with the same names as the others ([`sqlite`], [`postgres`]); nothing above
//! this crate names an engine but the journal's batch append, which reaches it by [`Database::engine`].
//!
//! Reads go to any connection and see what is committed. Whatever must see itself or be whole goes through
//! [`Database::transaction`].

mod checksum;
pub mod copy;
mod error;
mod fleet;
mod health;
mod ids;
mod migrations;
pub mod postgres;
pub mod sqlite;
mod value;
mod work;

use std::{borrow::Cow, future::Future, pin::Pin, sync::Arc};

pub use checksum::{Part, checksum};
pub use error::{Error, Kind, Outage, Violation};
pub use fleet::{FORGET_FLEET, FleetIdentity};
pub use migrations::{LATEST_VERSION, MIGRATIONS};
pub use value::{FromValue, Row, Value};

/// What a transaction's closure gives back.
pub type TransactionFuture<'t, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 't>>;

/// The text of a statement.
pub type Sql = Cow<'static, str>;

/// The handle; cloning it is cheap.
#[derive(Clone)]
pub struct Database {
    engine: Engine,
    ids: Arc<ids::Ids>,
}

/// Who brings the schema up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Schema {
    /// This program, now.
    Migrate,
    /// Somebody else, where somebody else can: wait until it is done.
    Await,
    /// Nobody.
    Leave,
}

/// What the handle stands on.
#[derive(Clone)]
pub enum Engine {
    /// A file of this process alone.
    Sqlite(sqlite::Sqlite),
    /// A server that many processes share.
    Postgres(postgres::Postgres),
}

impl Database {
    /// Opens the database that a URL names and brings its schema to [`LATEST_VERSION`]. `sqlite://path/to/file` is
    /// created when it is not there; its folder must be. `postgres://user:password@host:5432/database` must be there;
    /// a schema that is newer is left as it is, and several programs may open it at once.
    ///
    /// # Errors
    /// [`Error::Url`] when the URL names no engine of ours; [`Error::Open`] when the database cannot be opened, is a file
    /// in use by another process, or a file newer than this program.
    pub async fn open(url: &str) -> Result<Self, Error> {
        Self::open_with(url, Schema::Migrate, sqlite::Layer::current()).await
    }

    /// The same, with a file layer of the caller's own choice.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_by(url: &str, layer: sqlite::Layer) -> Result<Self, Error> {
        Self::open_with(url, Schema::Migrate, layer).await
    }

    /// The same for a program that leaves the schema of a shared database to others: it waits for the server and for the
    /// version that it needs as long as it takes, and says so in the log. A file is brought up to date as above, since
    /// nobody else can.
    ///
    /// # Errors
    /// As [`Self::open`], but for a server that cannot be reached yet.
    pub async fn open_when_migrated(url: &str) -> Result<Self, Error> {
        Self::open_with(url, Schema::Await, sqlite::Layer::current()).await
    }

    /// The same for a look: a database is opened as it is, whatever its version. A file must be there.
    ///
    /// # Errors
    /// As [`Self::open`], but for a file of another version.
    pub async fn open_as_it_is(url: &str) -> Result<Self, Error> {
        Self::open_with(url, Schema::Leave, sqlite::Layer::current()).await
    }

    /// Opens a database for a look that writes nothing: a file also while another process serves it.
    ///
    /// # Errors
    /// As [`Self::open_as_it_is`].
    pub async fn look(url: &str) -> Result<Self, Error> {
        if postgres::is_postgres(url) {
            return Self::open_as_it_is(url).await;
        }
        Ok(Self {
            engine: Engine::Sqlite(sqlite::Sqlite::look(sqlite_path(url)?.into()).await?),
            ids: Arc::default(),
        })
    }

    async fn open_with(url: &str, schema: Schema, layer: sqlite::Layer) -> Result<Self, Error> {
        let engine = if postgres::is_postgres(url) {
            Engine::Postgres(postgres::Postgres::open(url, schema).await?)
        } else {
            Engine::Sqlite(sqlite::Sqlite::open(sqlite_path(url)?.into(), schema, layer).await?)
        };
        Ok(Self {
            engine,
            ids: Arc::default(),
        })
    }

    /// The engine, for the journal's batch append.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Which of two texts the engine takes, where a file keeps something in another way than a server.
    pub fn text(&self, of_file: &'static str, of_server: &'static str) -> &'static str {
        match &self.engine {
            Engine::Sqlite(_) => of_file,
            Engine::Postgres(_) => of_server,
        }
    }

    /// The server's clock, epoch milliseconds; `None` of a file, which has none of its own.
    ///
    /// # Errors
    /// As the engine says.
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
    /// As the engine says.
    pub async fn query(&self, sql: impl Into<Sql>, params: Vec<Value>) -> Result<Vec<Row>, Error> {
        let sql = told(sql.into());
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.query(sql, params).await,
            Engine::Postgres(postgres) => postgres.query(sql, params).await,
        }
    }

    /// The first row of one reading statement, if there is one.
    ///
    /// # Errors
    /// As the engine says.
    pub async fn query_first(&self, sql: impl Into<Sql>, params: Vec<Value>) -> Result<Option<Row>, Error> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// Runs a closure's statements as one transaction: committed (and synced) when it gives `Ok`, rolled back when it
    /// gives `Err`. Once begun it runs to its end, also when this future is dropped.
    ///
    /// The closure awaits nothing but its own statements: on SQLite it runs on the writer's thread, and the next batch
    /// of messages waits for it. Once a statement was refused there is nothing to do but give `Err`: PostgreSQL takes no
    /// more statements then, and no other engine does. What may be refused and go on says `ON CONFLICT DO NOTHING`.
    ///
    /// SQLite runs transactions one by one; PostgreSQL lets them read beside each other (READ COMMITTED). So what a
    /// transaction decides by must be held: its first statement writes to the row that the decision hangs on, or the
    /// decision stands in the write (`UPDATE … WHERE status = 'waiting'`), or a constraint holds it.
    ///
    /// ```ignore
    /// database.transaction(move |tx| Box::pin(async move {
    ///     tx.execute("UPDATE consult SET status = $1 WHERE id = $2", params!["finished", id]).await?;
    ///     Ok::<_, Error>(())
    /// })).await?;
    /// ```
    ///
    /// # Errors
    /// What the closure gives, or what the commit says.
    pub async fn transaction<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'t, 'c> FnOnce(&'t mut Transaction<'c>) -> TransactionFuture<'t, T, E> + Send + 'static,
    {
        let (work, outcome) = work::erase(work);
        let ran = match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.transaction(work).await,
            Engine::Postgres(postgres) => postgres.transaction(work).await,
        };
        outcome.after(ran)
    }

    /// A new id of a sequence. Ids are handed out in blocks, so a restart may leave some unused.
    ///
    /// # Errors
    /// As the engine says.
    pub async fn allocate_id(&self, sequence: &'static str) -> Result<i64, Error> {
        self.ids.allocate(self, sequence).await
    }

    /// The version of the schema in force; 0 when there is none.
    ///
    /// # Errors
    /// As the engine says.
    pub async fn schema_version(&self) -> Result<i64, Error> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.schema_version().await,
            Engine::Postgres(postgres) => postgres.schema_version().await,
        }
    }

    /// Whether a write would go now: as the last one said when that was a moment ago, else by a write that changes nothing.
    ///
    /// # Errors
    /// Why not.
    pub async fn is_writable(&self) -> Result<(), Error> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.is_writable().await,
            Engine::Postgres(postgres) => postgres.is_writable().await,
        }
    }

    /// Whether the database answers, has the schema of this program and can be written; if not, what is wrong.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub async fn is_ready(&self) -> Result<(), String> {
        match self.schema_version().await {
            // A newer one is that of a fleet which is just being brought up to date.
            Ok(version) if version >= LATEST_VERSION => {
                self.is_writable().await.map_err(|error| error.to_string())
            }
            Ok(version) => Err(format!(
                "the schema has version {version}, this program needs {LATEST_VERSION}"
            )),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Ends the engine's threads after what they have begun. Further calls fail with [`Error::Closed`].
    pub async fn close(&self) {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.close().await,
            Engine::Postgres(postgres) => postgres.close().await,
        }
    }
}

fn sqlite_path(url: &str) -> Result<&str, Error> {
    let Some(path) = url.strip_prefix("sqlite://") else {
        return Err(Error::Url(format!(
            "the database URL must begin with sqlite:// or postgres://, as in sqlite://data/huizhen.db or \
             postgres://user:password@host:5432/huizhen; got a URL with the scheme {:?}",
            url.split_once("://").map_or("", |(scheme, _)| scheme)
        )));
    };
    // SQLite reads these as databases in memory, one for each connection, or as options.
    if path.is_empty() || path.starts_with(":memory:") || path.starts_with("file:") {
        return Err(Error::Url(format!(
            "the database URL must name a file, as in sqlite://data/huizhen.db; got {url:?}"
        )));
    }
    Ok(path)
}

/// A transaction in progress.
pub struct Transaction<'c> {
    engine: EngineTransaction<'c>,
    health: &'c health::Health,
    /// Whether a statement was refused; then it can only be rolled back.
    refused: bool,
}

enum EngineTransaction<'c> {
    Sqlite(&'c mut rusqlite::Connection),
    Postgres(postgres::Open<'c>),
}

impl Transaction<'_> {
    /// Whether it is one of a file.
    pub fn is_of_file(&self) -> bool {
        matches!(self.engine, EngineTransaction::Sqlite(_))
    }

    /// As [`Database::text`].
    pub fn text(&self, of_file: &'static str, of_server: &'static str) -> &'static str {
        if self.is_of_file() { of_file } else { of_server }
    }

    /// Rows of one statement.
    ///
    /// # Errors
    /// [`Error::Violation`] for a broken constraint, [`Error::Refused`] after another error, else as the engine says.
    pub async fn query(&mut self, sql: impl Into<Sql>, params: Vec<Value>) -> Result<Vec<Row>, Error> {
        if self.refused {
            return Err(Error::Refused);
        }
        let sql = told(sql.into());
        let outcome = match &mut self.engine {
            EngineTransaction::Sqlite(connection) => sqlite::query(connection, &sql, &params),
            EngineTransaction::Postgres(open) => open.query(&sql, &params).await,
        };
        self.take_note(outcome.as_ref().err());
        outcome
    }

    fn take_note(&mut self, error: Option<&Error>) {
        self.refused = error.is_some();
        // One connection that broke is no outage; the next one tells.
        if let Some(error) = error.filter(|error| error.outage().is_some_and(Outage::is_readable)) {
            self.health.failed(error);
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

    /// Runs one statement and tells how many rows it changed.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub async fn execute(&mut self, sql: impl Into<Sql>, params: Vec<Value>) -> Result<u64, Error> {
        if self.refused {
            return Err(Error::Refused);
        }
        let sql = told(sql.into());
        let outcome = match &mut self.engine {
            EngineTransaction::Sqlite(connection) => sqlite::execute(connection, &sql, &params),
            EngineTransaction::Postgres(open) => open.execute(&sql, &params).await,
        };
        self.take_note(outcome.as_ref().err());
        outcome
    }
}

/// Tells of a statement, never of its parameters: `database::statement=trace` in the log's filter shows what runs, and tests
/// see what they have to explain.
fn told(sql: Sql) -> Sql {
    tracing::trace!(target: "database::statement", sql = &*sql);
    sql
}

/// Parameters of a statement: `params![id, name]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        vec![$($crate::Value::from($value)),*]
    };
}
