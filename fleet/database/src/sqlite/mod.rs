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
mod salvage;
mod seal;
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
};

pub use backup::{Backup, back_up, restore};
pub use pages::Checked;
use rusqlite::Connection;
pub use salvage::{Salvaged, restore_before_damage};
pub use seal::{Seal, seal};
pub(crate) use statement::{execute, query};
pub use vfs::Layer;
pub(crate) use vfs::take_damage;

use self::{
    lock::Lock,
    worker::{Worker, WriterKeeps},
};
use crate::{EngineTransaction, Error, Row, Schema, Sql, Transaction, TransactionFuture, Value};

/// Reader threads: enough that a long list does not hold up a login; each costs a page cache.
const READERS: usize = 3;

/// Gives up what a job on the writer's thread has done so far and begins its transaction anew.
///
/// # Errors
/// As SQLite says.
pub fn begin_again(connection: &Connection) -> Result<(), Error> {
    connection.execute_batch("ROLLBACK")?;
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
    /// None for a look, which writes nothing.
    writer: Option<Worker>,
    readers: Vec<Worker>,
    next_reader: AtomicUsize,
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
        let mut lock = open::take(&path)?;
        if schema != Schema::Leave && layer == Layer::Sums {
            seal::at_start(&path, &mut lock)?;
        }
        let lock = Arc::new(lock);
        let (mut connection, checkpointer, log) = open::writer(&path, layer)?;
        if schema != Schema::Leave {
            open::migrate(&mut connection)?;
        }
        let keeps = WriterKeeps::new(path.clone(), checkpointer, log);
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
            Self::reading(path, Layer::current(), None, lock)
        };
        tokio::task::spawn_blocking(look)
            .await
            .map_err(|_| Error::Panicked)?
    }

    fn reading(
        path: PathBuf,
        layer: Layer,
        writer: Option<Worker>,
        lock: Option<Arc<Lock>>,
    ) -> Result<Self, Error> {
        let readers = (0..READERS)
            .map(|at| {
                let name = format!("sqlite-reader-{at}");
                Ok(Worker::start(
                    &name,
                    open::reader(&path, layer)?,
                    lock.clone(),
                    None,
                ))
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self {
            inner: Arc::new(Inner {
                path,
                layer,
                writer,
                readers,
                next_reader: AtomicUsize::new(0),
            }),
        })
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
        let Some(writer) = &self.inner.writer else {
            return Err(Error::Closed.into());
        };
        writer
            .run(move |connection| {
                connection
                    .execute_batch("BEGIN IMMEDIATE")
                    .map_err(|error| E::from(error.into()))?;
                let value = job(connection)?;
                worker::commit(connection).map_err(E::from)?;
                Ok(then(value))
            })
            .await
    }

    /// Runs a job on a reader's thread. What it sees is one snapshot only within one statement.
    ///
    /// # Errors
    /// What the job gives.
    pub async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let at = self.inner.next_reader.fetch_add(1, Ordering::Relaxed) % self.inner.readers.len();
        self.inner.readers[at].run(job).await
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
        self.read(move |connection| query(connection, &sql, &params))
            .await
    }

    pub(crate) async fn transaction<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'t, 'c> FnOnce(&'t mut Transaction<'c>) -> TransactionFuture<'t, T, E> + Send + 'static,
    {
        self.write(move |connection| {
            let mut transaction = Transaction {
                engine: EngineTransaction::Sqlite(connection),
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
        for reader in &self.inner.readers {
            reader.close().await;
        }
        // Last, since whoever closes the file last moves the log into it.
        if let Some(writer) = &self.inner.writer {
            writer.close().await;
        }
    }
}
