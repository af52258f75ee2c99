//! PostgreSQL: a pool of connections, and others for whoever keeps one for himself.
//!
//! Whatever was begun on a connection runs to its end in a task of its own, also when nobody waits for it any more:
//! nothing is ever cancelled, since a commit that is cut short may or may not be one. So a server that hangs holds
//! connections of the pool, and callers are answered all the same, within [`ANSWER_LIMIT`].

mod address;
mod failure;
mod migrate;
mod notices;
mod pooler;
mod privileges;
mod rewrite;
mod statement;
mod tls;
mod transaction;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, Timeouts,
};
use tokio_postgres::Client;
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::TaskTracker;

pub(crate) use self::{address::is_postgres, statement::row, transaction::Open};
use self::{
    address::{Address, CONNECT_LIMIT},
    pooler::Sessions,
    privileges::Role,
};
pub use self::{notices::Unconfirmed, statement::Sealed};
use crate::{Error, Row, Schema, Sql, Value, migrations};

/// Connections of the pool: statements here take a millisecond, so they serve some thousand requests a second. Each is a
/// process of the server's, and each program of a fleet has so many.
const CONNECTIONS: usize = 10;
/// How long a caller waits: the wire promises an answer within 5 s.
const ANSWER_LIMIT: Duration = Duration::from_millis(4500);
/// How long of that for a connection.
const WAIT_LIMIT: Duration = Duration::from_millis(4000);
/// How often a connection that turns out to be dead is replaced: after a restart of the server all of them are.
const TRIES: usize = CONNECTIONS + 1;
/// How long closing waits for what was begun.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);
/// How often a program that waits for the schema looks, and how often it says so.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const TELL_EVERY: u32 = 20;
/// The oldest server that this was tested with, as `server_version_num` says it.
const OLDEST_SERVER: i32 = 150_000;

/// The handle; cloning it is cheap.
#[derive(Clone)]
pub struct Postgres {
    inner: Arc<Inner>,
}

struct Inner {
    address: Address,
    connector: MakeRustlsConnect,
    unconfirmed: Unconfirmed,
    pool: Pool,
    is_distributed: bool,
    tasks: TaskTracker,
    closed: AtomicBool,
}

impl Postgres {
    pub(crate) async fn open(url: &str, schema: Schema) -> Result<Self, Error> {
        let mut address = Address::parse(url)?;
        let connector = tls::connector(&address.trust)?;
        let unconfirmed = Unconfirmed::default();
        let mut client = match schema {
            Schema::Migrate | Schema::Leave => {
                let connecting = connect_first(&address, &connector, &unconfirmed);
                connecting.await.map_err(Away::into_open)?
            }
            Schema::Await => await_schema(&address, &connector, &unconfirmed).await?,
        };
        let is_distributed = look_at_server(&client, &mut address).await?;
        let role = Role::of(&client).await?;
        role.must_use_tables(&client).await?;
        if schema == Schema::Migrate {
            Box::pin(migrate::migrate(&mut client, &role)).await?;
        }
        let mut pooled = address.clone();
        // What only reads cannot write by mistake; transactions say that they write.
        pooled.set("default_transaction_read_only", "on");
        let manager = Manager::from_connect(
            pooled.config,
            notices::Connector {
                tls: connector.clone(),
                unconfirmed: unconfirmed.clone(),
                session: pooled.session,
            },
            ManagerConfig {
                recycling_method: RecyclingMethod::Fast,
            },
        );
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| Error::Open(error.to_string()))?;
        Ok(Self {
            inner: Arc::new(Inner {
                address,
                connector,
                unconfirmed,
                pool,
                is_distributed,
                tasks: TaskTracker::new(),
                closed: AtomicBool::new(false),
            }),
        })
    }

    /// A connection of the caller's own, outside the pool. It ends when it is dropped.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when there is none to be had within some seconds.
    pub async fn connect(&self) -> Result<Client, Error> {
        if self.inner.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        connect(
            &self.inner.address,
            &self.inner.connector,
            &self.inner.unconfirmed,
        )
        .await
        .map_err(|away| Error::Unavailable(away.told))
    }

    /// Commits that the server called done without its standby.
    pub fn unconfirmed(&self) -> &Unconfirmed {
        &self.inner.unconfirmed
    }

    /// Whether the server spreads rows over machines, as Citus and YugabyteDB do or as the setting
    /// `huizhen.distributed = on` says: then a statement writes to one table.
    pub fn is_distributed(&self) -> bool {
        self.inner.is_distributed
    }

    pub(crate) async fn query(&self, sql: Sql, params: Vec<Value>) -> Result<Vec<Row>, Error> {
        let inner = self.inner.clone();
        self.run(async move {
            let mut tries = 1;
            loop {
                let connection = inner.connection().await?;
                match statement::query(&connection, &sql, &params).await {
                    // It died while it lay idle, and reading twice harms nobody.
                    Err(Error::Unavailable(_)) if tries < TRIES => drop(Object::take(connection)),
                    outcome => return outcome,
                }
                tries += 1;
            }
        })
        .await
    }

    pub(crate) async fn schema_version(&self) -> Result<i64, Error> {
        let inner = self.inner.clone();
        self.run(async move {
            let connection = inner.connection().await?;
            migrate::version(&connection).await
        })
        .await
    }

    /// Runs work in a task of its own, and waits for it as long as a caller may wait.
    async fn run<T, E>(&self, work: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        if transaction::is_within() {
            return Err(Error::Suspended.into());
        }
        if self.inner.closed.load(Ordering::Acquire) {
            return Err(Error::Closed.into());
        }
        let task = self.inner.tasks.spawn(work);
        match tokio::time::timeout(ANSWER_LIMIT, task).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(ended)) if ended.is_panic() => Err(Error::Panicked.into()),
            Ok(Err(_)) => Err(Error::Closed.into()),
            Err(_) => {
                metrics::counter!("huizhen_database_late_answers_total").increment(1);
                Err(Error::Unavailable("it does not answer; what was begun goes on".into()).into())
            }
        }
    }

    /// The session settings of one connection more, for the tests: what `SHOW` says.
    #[doc(hidden)]
    pub async fn setting(&self, name: &str) -> Result<String, Error> {
        let row = self
            .connect()
            .await?
            .query_one(&format!("SHOW {name}"), &[])
            .await?;
        Ok(row.get(0))
    }

    pub(crate) async fn close(&self) {
        self.inner.closed.store(true, Ordering::Release);
        self.inner.tasks.close();
        if tokio::time::timeout(CLOSE_LIMIT, self.inner.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("the database does not answer; the program ends without waiting for it");
        }
        self.inner.pool.close();
    }
}

impl Inner {
    async fn connection(&self) -> Result<Object, Error> {
        let timeouts = Timeouts {
            wait: Some(WAIT_LIMIT),
            create: Some(CONNECT_LIMIT),
            recycle: None,
        };
        self.pool
            .timeout_get(&timeouts)
            .await
            .map_err(|error| match error {
                PoolError::Backend(error) => Error::Unavailable(failure::chain(&error)),
                PoolError::Timeout(_) => Error::Unavailable("no connection within some seconds".into()),
                PoolError::Closed => Error::Closed,
                other => Error::Engine(other.to_string()),
            })
    }
}

/// Why there is no connection.
struct Away {
    told: String,
    /// Trying again does not help.
    for_ever: bool,
}

impl Away {
    fn into_open(self) -> Error {
        Error::Open(self.told)
    }
}

impl From<tokio_postgres::Error> for Away {
    fn from(error: tokio_postgres::Error) -> Self {
        let told = failure::chain(&error);
        match pooler::startup_refusal(&told) {
            Some(told) => Self { told, for_ever: true },
            None => Self {
                told,
                for_ever: failure::is_for_ever(&error),
            },
        }
    }
}

async fn connect(
    address: &Address,
    connector: &MakeRustlsConnect,
    unconfirmed: &Unconfirmed,
) -> Result<Client, Away> {
    let connecting = notices::connect(&address.config, connector, unconfirmed, &address.session);
    match tokio::time::timeout(CONNECT_LIMIT, connecting).await {
        Ok(Ok((client, _driver))) => Ok(client),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(Away {
            told: format!("no connection within {} s", CONNECT_LIMIT.as_secs()),
            for_ever: false,
        }),
    }
}

/// The connection of a start: refuses a pooler that lets sessions share processes, before it is set up.
async fn connect_first(
    address: &Address,
    connector: &MakeRustlsConnect,
    unconfirmed: &Unconfirmed,
) -> Result<Client, Away> {
    let plain = address.without_session();
    let client = connect(&plain, connector, unconfirmed).await?;
    let sessions = match connect(&plain, connector, unconfirmed).await {
        Ok(second) => pooler::compare(&client, &second).await?,
        Err(away) => {
            tracing::debug!(why = away.told, "there is no second connection to compare with");
            Sessions::Unknown
        }
    };
    match sessions {
        Sessions::Own => {}
        Sessions::Shared => {
            return Err(Away {
                told: pooler::refusal(),
                for_ever: true,
            });
        }
        Sessions::Unknown => tracing::warn!(
            needed = CONNECTIONS,
            "the database gives one connection and no second one: raise max_connections, or default_pool_size of PgBouncer"
        ),
    }
    client.batch_execute(&address.session).await?;
    Ok(client)
}

/// Waits for the database and for the version of its schema that this program needs.
async fn await_schema(
    address: &Address,
    connector: &MakeRustlsConnect,
    unconfirmed: &Unconfirmed,
) -> Result<Client, Error> {
    let mut looks = 0u32;
    loop {
        let missing = match connect_first(address, connector, unconfirmed).await {
            Ok(client) => match usable_version(&client).await {
                Err(error @ Error::Open(_)) => return Err(error),
                Ok(version) if version >= migrations::LATEST_VERSION => return Ok(client),
                Ok(version) => format!(
                    "its schema has version {version}, this program needs {}; start an api-server or run `huizhen migrate`",
                    migrations::LATEST_VERSION
                ),
                Err(error) => error.to_string(),
            },
            Err(away) if away.for_ever => return Err(away.into_open()),
            Err(away) => away.told,
        };
        if looks.is_multiple_of(TELL_EVERY) {
            tracing::info!(missing, "waiting for the database");
        }
        looks += 1;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The version of a schema whose tables this program may use.
async fn usable_version(client: &Client) -> Result<i64, Error> {
    Role::of(client).await?.must_use_tables(client).await?;
    migrate::version(client).await
}

/// Whether the server keeps what it acknowledges, and is one that this program knows. Gives whether it spreads rows.
async fn look_at_server(client: &Client, address: &mut Address) -> Result<bool, Error> {
    const SETTINGS: &str =
        "SELECT CAST(current_setting('server_version_num') AS INT), current_setting('fsync'),
        current_setting('synchronous_commit'), current_setting('server_encoding'),
        version() LIKE '%-YB-%' OR EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'citus')
          OR lower(coalesce(current_setting('huizhen.distributed', true), '')) IN ('on', 'true', 'yes', '1')";
    let row = client.query_one(SETTINGS, &[]).await?;
    let version: i32 = row.get(0);
    if version < OLDEST_SERVER {
        return Err(Error::Open(format!(
            "the server is PostgreSQL {}; 15 or newer is needed",
            version / 10_000
        )));
    }
    let encoding: String = row.get(3);
    if encoding != "UTF8" {
        return Err(Error::Open(format!(
            "the database has the encoding {encoding}; make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )));
    }
    if row.get::<_, String>(1) == "off" {
        tracing::error!("the server runs with fsync=off: a power loss takes acknowledged messages with it");
    }
    // An acknowledged message is on the disk (invariant I1), whatever is usual on this server.
    if row.get::<_, String>(2) == "off" {
        address.set("synchronous_commit", "on");
    }
    Ok(row.get(4))
}
