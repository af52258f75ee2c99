//! PostgreSQL: a pool of connections, and connections that a caller keeps for itself.
//!
//! Work that was begun on a connection runs to its end in a task of its own, also when its caller is gone:
//! nothing is ever cancelled, since a commit that is cut short may or may not be one. So a server that hangs holds
//! connections of the pool, and callers are answered all the same, within [`ANSWER_LIMIT`].

pub mod citus;
mod connect;
mod failure;
mod moment;
mod open;
mod probe;
mod rewrite;
mod statement;
mod transaction;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use deadpool::{
    Runtime,
    managed::{PoolError, Timeouts},
};
use telemetry::events::database::Event;
use tokio_postgres::Client;
use tokio_util::task::TaskTracker;

use self::{
    citus::{Function, Machine, Placed, Shards, Worker},
    connect::{Address, Away, CONNECT_LIMIT, CONNECTIONS, Connected, Hosts, Manager, Object, Pool},
    open::migrate,
    probe::Probe,
};
pub use self::{connect::Unconfirmed, statement::Sealed};
pub(crate) use self::{connect::is_postgres, moment::Moment, statement::row, transaction::Open};
use crate::{Error, Outage, Row, Sql, Value, health::Health, migrations::Schema};

/// How long a caller waits: the wire promises an answer within 5 s.
const ANSWER_LIMIT: Duration = Duration::from_millis(4500);
/// A machine that is reported lost so soon was not waited for.
const QUICK: Duration = Duration::from_millis(500);
/// The part of that for a connection.
const WAIT_LIMIT: Duration = Duration::from_millis(4000);
/// How often a dead connection is replaced: after a restart of the server all of them are dead.
const TRIES: usize = CONNECTIONS + 1;
/// How long closing waits for the work in progress.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

/// The handle; cloning it is cheap.
#[derive(Clone)]
pub struct Postgres {
    inner: Arc<Inner>,
}

struct Inner {
    hosts: Arc<Hosts>,
    /// Statements that set up a session outside the pool.
    session: String,
    pool: Pool,
    health: Health,
    probe: Probe,
    is_distributed: bool,
    tasks: TaskTracker,
    closed: AtomicBool,
}

impl Postgres {
    pub(crate) async fn open(url: &str, schema: Schema) -> Result<Self, Error> {
        let mut address = Address::parse(url)?;
        let connector = connect::connector(&address.trust)?;
        let hosts = Arc::new(Hosts::new(&address, connector, Unconfirmed::default()));
        let is_distributed = open::start(&hosts, &mut address, schema).await?;
        let mut pooled = address.clone();
        // Reads cannot write by mistake; transactions say that they write.
        pooled.set("default_transaction_read_only", "on");
        // Planning costs more than running: each statement is planned once for a connection, by its indexes and not by
        // the size that its tables have at that moment. The tests explain each one so. Where rows lie on several machines,
        // a plan without parameters names no machine, and Citus refuses it.
        if !is_distributed {
            pooled.set("plan_cache_mode", "force_generic_plan");
        }
        pooled.set("enable_seqscan", "off");
        let manager = Manager {
            hosts: hosts.clone(),
            session: pooled.session,
        };
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| Error::Open(error.to_string()))?;
        Ok(Self {
            inner: Arc::new(Inner {
                hosts,
                session: address.session,
                pool,
                health: Health::default(),
                probe: Probe::default(),
                is_distributed,
                tasks: TaskTracker::new(),
                closed: AtomicBool::new(false),
            }),
        })
    }

    /// Brings the schema of a database up to date, and puts every table on the machine where it belongs, with the
    /// functions that run there. Returns what it put, in words; nothing when all of it was done.
    ///
    /// # Errors
    /// [`Error::Open`] when the server has no Citus, or refuses.
    pub async fn distribute(url: &str, functions: &[Function]) -> Result<Vec<Placed>, Error> {
        let mut address = Address::parse(url)?;
        let connector = connect::connector(&address.trust)?;
        let hosts = Hosts::new(&address, connector, Unconfirmed::default());
        open::distribute(&hosts, &mut address, functions).await
    }

    /// Refuses a database on several machines without these functions, as this release has them.
    ///
    /// # Errors
    /// [`Error::Open`] with the functions and the command that makes them; as the server says.
    pub async fn must_have(&self, functions: &[Function]) -> Result<(), Error> {
        if !self.is_distributed() {
            return Ok(());
        }
        citus::must_have(&self.connect().await?, functions).await
    }

    /// Which machine has a conversation, as the coordinator says now.
    ///
    /// # Errors
    /// The coordinator's.
    pub async fn shards(&self) -> Result<Shards, Error> {
        Ok(Shards::read(&self.connect().await?).await?)
    }

    /// The machines of a database that lies on several; none of any other.
    ///
    /// # Errors
    /// The coordinator's.
    pub async fn machines(&self) -> Result<Vec<Machine>, Error> {
        let client = self.connect().await?;
        let spread = citus::spread(&client).await?;
        if !(spread.has_extension && spread.is_distributed) {
            return Ok(Vec::new());
        }
        citus::machines(&client).await
    }

    /// A connection of the caller's own, outside the pool. It ends when it is dropped.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when there is none within some seconds.
    pub async fn connect(&self) -> Result<Client, Error> {
        if self.inner.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        self.inner.connect().await
    }

    /// A connection to the machine that has a conversation, past the coordinator.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when there is none within a second: the coordinator may reach it all the same.
    pub async fn connect_to(&self, worker: &Worker) -> Result<Client, Error> {
        if self.inner.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        let connected = self.inner.hosts.connect_to(worker, &self.inner.session).await;
        Ok(connected.map_err(Away::into_error)?.0)
    }

    /// Whether a write would succeed now.
    pub(crate) async fn is_writable(&self) -> Result<(), Error> {
        let inner = self.inner.clone();
        self.run(async move { inner.is_writable().await }).await
    }

    /// Reports the outcome of a write on a connection of the caller's own: readiness rests on it.
    pub fn report(&self, outcome: Result<(), &Error>) {
        match outcome {
            Ok(()) => self.inner.health.wrote(),
            // One broken connection is no outage; the attempt to make another one decides.
            Err(error) if error.outage().is_some_and(Outage::is_readable) => self.inner.failed(error),
            Err(_) => {}
        }
    }

    /// Commits that the server reported done without its standby.
    pub fn unconfirmed(&self) -> &Unconfirmed {
        self.inner.hosts.unconfirmed()
    }

    /// Whether rows lie on several machines, as `huizhen migrate --distributed citus` has put them, or the setting
    /// `huizhen.distributed = on` demands that a program acts so: then messages are appended by a call of a function.
    pub fn is_distributed(&self) -> bool {
        self.inner.is_distributed
    }

    pub(crate) async fn query(&self, sql: Sql, params: Vec<Value>) -> Result<Vec<Row>, Error> {
        let inner = self.inner.clone();
        self.run(async move {
            let mut tries = 1;
            loop {
                let connection = inner.connection().await?;
                let asked = Instant::now();
                match statement::query(&connection, &sql, &params).await {
                    // The coordinator's own connection to it may have died while it was idle.
                    Err(Error::Machine(_)) if tries == 1 && asked.elapsed() < QUICK => {}
                    // It died while it was idle, and reading twice does no harm.
                    Err(Error::Unavailable(_)) if tries < TRIES => drop(Object::take(connection)),
                    // Its transactions only read: a statement that writes belongs into a transaction.
                    Err(Error::ReadOnly(text) | Error::Standby(text)) => return Err(Error::Engine(text)),
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
                Event::LateAnswer.emit();
                let late = "it does not answer; what was begun goes on".to_owned();
                Err(match self.inner.is_distributed {
                    true => Error::Machine(late).into(),
                    false => Error::Unavailable(late).into(),
                })
            }
        }
    }

    /// A session setting of a new connection, as `SHOW` prints it, for the tests.
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
            Event::UnansweredClose.emit();
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
                PoolError::Backend(away) => self.noted(away),
                PoolError::Timeout(_) => Error::Unavailable("no connection within some seconds".into()),
                PoolError::Closed => Error::Closed,
                PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                    Error::Engine("the pool is not set up".into())
                }
            })
    }

    /// A connection outside the pool.
    async fn connect(&self) -> Result<Client, Error> {
        Ok(self.connected().await?.0)
    }

    /// The same with the task that drives it.
    async fn connected(&self) -> Result<Connected, Error> {
        self.hosts
            .connect(&self.session)
            .await
            .map_err(|away| self.noted(away))
    }

    fn noted(&self, away: Away) -> Error {
        let error = away.into_error();
        self.health.failed(&error);
        error
    }

    /// Notes a failure. Drops all connections to a server that accepts no writes.
    fn failed(&self, error: &Error) {
        let is_news = self.health.failed(error);
        let is_over = matches!(error.outage(), Some(Outage::ReadOnly | Outage::Standby));
        if is_over && (is_news || !self.hosts.is_alone()) {
            self.hosts.leave();
        }
    }

    async fn is_writable(&self) -> Result<(), Error> {
        let is_full = self.health.outage() == Some(Outage::Full);
        let probe = async {
            let outcome = self.probe.run(self, is_full).await;
            if let Err(error) = &outcome {
                self.failed(error);
            }
            outcome
        };
        self.health.ask(probe).await
    }
}
