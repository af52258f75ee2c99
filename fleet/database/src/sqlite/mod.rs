//! SQLite: a file of this process alone, with one writer thread that runs whole jobs in turn, a few reader threads, and
//! a thread that checkpoints the write-ahead log off the writer's path.

mod backup;
mod checkpoint;
mod guard;
mod lock;
mod log;
mod mark;
mod open;
mod pages;
mod probe;
mod salvage;
mod seal;
mod starved;
mod statement;
mod vfs;
mod worker;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

pub use backup::{Backup, back_up, restore};
pub use pages::Checked;
use rusqlite::Connection;
pub use salvage::{Salvaged, restore_before_damage};
pub use seal::{Seal, seal};
pub(crate) use statement::{execute, query};
use tokio::sync::RwLock;
pub use vfs::Layer;
pub(crate) use vfs::take_damage;

use self::{
    lock::Lock,
    worker::{Worker, WriterKeeps},
};
use crate::{
    EngineTransaction, Error, Outage, Row, Schema, Sql, Transaction, TransactionFuture, Value, health::Health,
};

/// How long a caller waits for the writer: the wire promises an answer within 5 s.
const ANSWER_LIMIT: Duration = Duration::from_millis(4_500);
/// How long the writer waits for a lock of SQLite's that another program holds; its caller is answered within
/// [`ANSWER_LIMIT`].
const LOCK_LIMIT: Duration = Duration::from_secs(3);
/// Reader threads: enough that a long list does not hold up a login; each costs a page cache.
const READERS: usize = 3;

/// Gives up what a job on the writer's thread has done so far and begins its transaction anew. After a failed read SQLite
/// has rolled it back already.
///
/// # Errors
/// As SQLite says.
pub fn begin_again(connection: &Connection) -> Result<(), Error> {
    if !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    if let Some(log) = vfs::shared(connection) {
        log.drop_gathered();
    }
    Ok(connection.execute_batch("BEGIN IMMEDIATE")?)
}

/// A connection of the caller's own to a file that is there, which may be served meanwhile: for tests and measurements. What
/// SQLite alone moves from the log or writes has no checksums, and would look like damage.
///
/// # Errors
/// When it cannot be opened.
pub fn connect(path: &Path) -> Result<Connection, Error> {
    let flags = rusqlite::OpenFlags::default() - rusqlite::OpenFlags::SQLITE_OPEN_CREATE;
    Ok(Layer::current().open(path, flags)?)
}

/// The sum of a page without its last eight bytes, which hold it: for measurements.
pub fn page_sum(content: &[u8]) -> [u8; 8] {
    vfs::sum::of_page(content)
}

/// Whether a process serves a file.
///
/// # Errors
/// [`Error::Open`] when that cannot be seen.
pub fn is_served(path: &Path) -> Result<bool, Error> {
    Ok(Lock::unless_served(&lock::resolve(path)?)?.is_none())
}

/// The handle; cloning it is cheap.
#[derive(Clone)]
pub struct Sqlite {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    layer: Layer,
    /// Replaced when a file that was opened on a full disk gets room.
    parts: RwLock<Parts>,
    next_reader: AtomicUsize,
    health: Health,
}

/// The threads.
struct Parts {
    /// None for a look, which writes nothing, and while the disk is full.
    writer: Option<Worker>,
    readers: Vec<Worker>,
    /// The lock of a file that was opened on a full disk, until there is room.
    starved: Option<Arc<Lock>>,
}

impl Inner {
    async fn is_writable(&self) -> Result<(), Error> {
        let parts = self.parts.read().await;
        if parts.starved.is_some() {
            drop(parts);
            return self.health.ask(self.find_room()).await;
        }
        let Some(writer) = &parts.writer else {
            return Err(parts.without_writer());
        };
        let path = self.path.clone();
        let needs_room = self.health.outage() == Some(Outage::Full);
        let probe = writer.run(move |connection| probe::write(connection, &path, needs_room));
        let limited = async {
            let answer = tokio::time::timeout(ANSWER_LIMIT, probe).await;
            answer.unwrap_or_else(|_| Err(Error::Busy("the writer is occupied".into())))
        };
        self.health.ask(limited).await
    }
}

impl Sqlite {
    pub(crate) async fn open(path: PathBuf, schema: Schema, layer: Layer) -> Result<Self, Error> {
        tokio::task::spawn_blocking(move || Self::open_blocking(path, schema, layer))
            .await
            .map_err(|_| Error::Panicked)?
    }

    fn open_blocking(path: PathBuf, schema: Schema, layer: Layer) -> Result<Self, Error> {
        let path = lock::resolve(&path)?;
        if schema == Schema::Leave && !path.is_file() {
            return Err(Error::Open(format!("{}: no such file", path.display())));
        }
        if starved::is_starved(&path)? {
            let lock = Arc::new(starved::take(&path)?);
            let sqlite = Self::of(path.clone(), layer, starved::read_only(&path, layer, &lock)?);
            sqlite.inner.health.failed(&starved::no_room());
            return Ok(sqlite);
        }
        let mut lock = open::take(&path)?;
        if schema != Schema::Leave && layer == Layer::Sums {
            seal::at_start(&path, &mut lock)?;
        }
        let parts = Self::whole(&path, layer, schema, Arc::new(lock))?;
        Ok(Self::of(path, layer, parts))
    }

    /// The writer and its readers.
    fn whole(path: &Path, layer: Layer, schema: Schema, lock: Arc<Lock>) -> Result<Parts, Error> {
        let (mut connection, checkpointer, log) = open::writer(path, layer)?;
        if schema != Schema::Leave {
            open::migrate(&mut connection)?;
        }
        connection.busy_timeout(LOCK_LIMIT)?;
        let keeps = WriterKeeps::new(path.to_owned(), checkpointer, log);
        let writer = Worker::start("sqlite-writer", connection, Some(lock.clone()), Some(keeps));
        Self::reading(path, layer, Some(writer), Some(lock))
    }

    /// Opens the file for a look, also while another process serves it: one that nobody serves is kept from being served.
    pub(crate) async fn look(path: PathBuf) -> Result<Self, Error> {
        let look = move || {
            let path = lock::resolve(&path)?;
            if !path.is_file() {
                return Err(Error::Open(format!("{}: no such file", path.display())));
            }
            let lock = Lock::unless_served(&path)?.map(Arc::new);
            if lock.is_some() {
                guard::refuse_damage(&path)?;
            }
            let layer = Layer::current();
            let parts = Self::reading(&path, layer, None, lock)?;
            Ok(Self::of(path, layer, parts))
        };
        tokio::task::spawn_blocking(look)
            .await
            .map_err(|_| Error::Panicked)?
    }

    fn reading(
        path: &Path,
        layer: Layer,
        writer: Option<Worker>,
        lock: Option<Arc<Lock>>,
    ) -> Result<Parts, Error> {
        let readers = (0..READERS)
            .map(|at| {
                let name = format!("sqlite-reader-{at}");
                let connection = open::reader(path, layer)?;
                Ok(Worker::start(&name, connection, lock.clone(), None))
            })
            .collect::<Result<_, Error>>()?;
        Ok(Parts {
            writer,
            readers,
            starved: None,
        })
    }

    fn of(path: PathBuf, layer: Layer, parts: Parts) -> Self {
        Self {
            inner: Arc::new(Inner {
                path,
                layer,
                parts: RwLock::new(parts),
                next_reader: AtomicUsize::new(0),
                health: Health::default(),
            }),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Runs a job on the writer's thread, in its turn, within a transaction: committed (and synced) when it gives `Ok`,
    /// rolled back when it gives `Err` or panics. It runs to its end also when this future is dropped.
    ///
    /// # Errors
    /// What the job gives, or what the commit says.
    pub async fn write<T, E>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.write_then(job, |value| value).await
    }

    /// The same, and what the job gave goes through `then` on the writer's thread once it is committed, before the next job
    /// begins: for what must be known in the order of commits, and not at all without one.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn write_then<T, U, E>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
        then: impl FnOnce(T) -> U + Send + 'static,
    ) -> Result<U, E>
    where
        U: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let parts = self.inner.parts.read().await;
        let Some(writer) = &parts.writer else {
            return Err(parts.without_writer().into());
        };
        let inner = self.inner.clone();
        writer
            .run(move |connection| {
                let note = |error: Error| {
                    inner.health.failed(&error);
                    E::from(error)
                };
                connection
                    .execute_batch("BEGIN IMMEDIATE")
                    .map_err(|error| note(error.into()))?;
                let value = job(connection)?;
                worker::commit(connection).map_err(note)?;
                inner.health.wrote();
                Ok(then(value))
            })
            .await
    }

    /// Whether a write would go now. Asked once it is found out, also when nobody waits for it any more.
    pub(crate) async fn is_writable(&self) -> Result<(), Error> {
        let inner = self.inner.clone();
        let asked = tokio::spawn(async move { inner.is_writable().await });
        asked.await.map_err(|_| Error::Panicked)?
    }

    /// Reports why a write failed: readiness rests on it.
    pub fn report(&self, error: &Error) {
        self.inner.health.failed(error);
    }

    /// Runs a job on a reader's thread. What it sees is one snapshot only within one statement.
    ///
    /// # Errors
    /// What the job gives.
    pub async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let at = self.inner.next_reader.fetch_add(1, Ordering::Relaxed) % READERS;
        let parts = self.inner.parts.read().await;
        match parts.readers.get(at) {
            Some(reader) => reader.run(job).await,
            None => Err(parts.without_writer()),
        }
    }

    /// What SQLite's own check of the pages and trees of the file finds, at most `lines` of it; nothing when it is whole.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn integrity(&self, lines: usize) -> Result<Vec<String>, Error> {
        self.read(move |connection| {
            let found = || {
                let mut statement = connection.prepare(&format!("PRAGMA integrity_check({lines})"))?;
                let found = statement.query_map([], |row| row.get::<_, String>(0))?;
                found.collect::<Result<Vec<_>, rusqlite::Error>>()
            };
            // A file that cannot even be checked is as damaged as one that was.
            let mut found = found().unwrap_or_else(|error| vec![Error::from(error).to_string()]);
            found.retain(|line| line != "ok");
            Ok(found)
        })
        .await
    }

    pub(crate) async fn schema_version(&self) -> Result<i64, Error> {
        self.read(|connection| Ok(open::schema_version(connection)?))
            .await
    }

    pub(crate) async fn query(&self, sql: Sql, params: Vec<Value>) -> Result<Vec<Row>, Error> {
        let read = self.read(move |connection| query(connection, &sql, &params));
        read.await.map_err(|error| match error {
            // Its connection only reads: a statement that writes does not belong here.
            Error::ReadOnly(told) => Error::Engine(told),
            other => other,
        })
    }

    pub(crate) async fn transaction<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'t, 'c> FnOnce(&'t mut Transaction<'c>) -> TransactionFuture<'t, T, E> + Send + 'static,
    {
        let inner = self.inner.clone();
        self.write(move |connection| {
            let mut transaction = Transaction {
                engine: EngineTransaction::Sqlite(connection),
                health: &inner.health,
                refused: false,
            };
            // Every statement is ready at once here, so the first poll is the last one.
            let polled = work(&mut transaction)
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            match polled {
                Poll::Ready(Ok(_)) if transaction.refused => Err(Error::Refused.into()),
                Poll::Ready(outcome) => outcome,
                Poll::Pending => Err(Error::Suspended.into()),
            }
        })
        .await
    }

    pub(crate) async fn close(&self) {
        let mut parts = self.inner.parts.write().await;
        for reader in &parts.readers {
            reader.close().await;
        }
        parts.starved = None;
        // Last, since whoever closes the file last moves the log into it.
        if let Some(writer) = &parts.writer {
            writer.close().await;
        }
    }
}
