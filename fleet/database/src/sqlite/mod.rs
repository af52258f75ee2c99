//! SQLite: a file of this process alone, with one writer thread that runs whole jobs in turn, a few reader threads, and
//! a thread that checkpoints the write-ahead log off the writer's path.

mod backup;
mod failure;
mod guard;
mod open;
mod probe;
mod statement;
mod threads;
mod transaction;
mod vfs;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rusqlite::{Connection, OpenFlags};
use tokio::time::timeout;

pub(crate) use self::threads::Moment;
pub(crate) use self::transaction::Open;
pub use self::{
    backup::{
        Backup, back_up, restore,
        salvage::{Salvaged, restore_before_damage},
        seal::{Seal, seal},
    },
    guard::pages::Checked,
    transaction::begin_again,
    vfs::{Faults, Hang, Layer, Operation},
};
use self::{
    guard::Lock,
    open::migrate,
    threads::{ANSWER_LIMIT, Threads},
};
use crate::{Error, Outage, Row, Sql, Value, health::Health, migrations::Schema};

/// A connection of the caller's own to an existing file, which may be served meanwhile: for tests and measurements. Pages
/// that SQLite alone moves from the log or writes have no checksums, and look damaged.
///
/// # Errors
/// When it cannot be opened.
pub fn connect(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::default() - OpenFlags::SQLITE_OPEN_CREATE;
    Ok(Layer::current().open(path, flags)?)
}

/// The sum of a page without its last eight bytes, which hold it: for measurements.
pub fn page_sum(content: &[u8]) -> [u8; 8] {
    vfs::sum::of_page(content)
}

/// Whether a process serves a file.
///
/// # Errors
/// [`Error::Open`] when its lock cannot be tried.
pub fn is_served(path: &Path) -> Result<bool, Error> {
    Ok(Lock::unless_served(&guard::resolve(path)?)?.is_none())
}

/// The handle; cloning it is cheap.
#[derive(Clone)]
pub struct Sqlite {
    inner: Arc<Inner>,
}

struct Inner {
    threads: Threads,
    health: Health,
    /// A probe waits for the writer, or runs.
    is_probing: Arc<AtomicBool>,
}

impl Inner {
    /// Asks the writer with a write that changes nothing. A writer that does not answer, as on a disk that hangs, is an outage.
    async fn is_writable(&self) -> Result<(), Error> {
        if self.threads.is_starved() {
            return self.health.ask(self.threads.find_room()).await;
        }
        let writer = self.threads.writer().await?;
        let path = self.threads.path().to_owned();
        let needs_room = self.health.outage() == Some(Outage::Full);
        let is_probing = self.is_probing.clone();
        let probe = async {
            if is_probing.swap(true, Ordering::AcqRel) {
                // An earlier probe was not answered in time and still waits: another one would only wait behind it.
                return Err(unanswered());
            }
            let is_probing = Flag(is_probing.clone());
            let job = move |connection: &mut Connection| {
                let _until_then = is_probing;
                probe::write(connection, &path, needs_room)
            };
            answered(writer.run(job)).await
        };
        self.health.ask(probe).await
    }
}

/// Cleared when it is dropped.
struct Flag(Arc<AtomicBool>);

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Sqlite {
    pub(crate) async fn open(path: PathBuf, schema: Schema, layer: Layer) -> Result<Self, Error> {
        Self::of(move || Threads::open(&path, schema, layer)).await
    }

    /// Opens the file for reading only, also while another process serves it.
    pub(crate) async fn look(path: PathBuf) -> Result<Self, Error> {
        Self::of(move || Threads::look(&path)).await
    }

    async fn of(open: impl FnOnce() -> Result<Threads, Error> + Send + 'static) -> Result<Self, Error> {
        let opened = tokio::task::spawn_blocking(open).await;
        let threads = opened.map_err(|_| Error::Panicked)??;
        let health = Health::default();
        if let Some(error) = threads.refusal() {
            health.failed(&error);
        }
        Ok(Self {
            inner: Arc::new(Inner {
                threads,
                health,
                is_probing: Arc::default(),
            }),
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.inner.threads.path()
    }

    /// Runs a job on the writer's thread, in its turn, within a transaction: committed (and synced) when it returns `Ok`,
    /// rolled back when it returns `Err` or panics. It runs to its end also when this future is dropped.
    ///
    /// # Errors
    /// The job's, or the commit's.
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

    /// The same, and the job's value goes through `then` on the writer's thread once it is committed, before the next job
    /// begins: for state that must follow the order of commits, and must not change without one.
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
        let writer = self.inner.threads.writer().await?;
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
                transaction::commit(connection).map_err(note)?;
                inner.health.wrote();
                Ok(then(value))
            })
            .await
    }

    /// Whether a write would succeed now. The probe runs to its end, also when this future is dropped.
    pub(crate) async fn is_writable(&self) -> Result<(), Error> {
        let inner = self.inner.clone();
        let probing = tokio::spawn(async move { inner.is_writable().await });
        probing.await.map_err(|_| Error::Panicked)?
    }

    /// Reports why a write failed: readiness rests on it.
    pub fn report(&self, error: &Error) {
        self.inner.health.failed(error);
    }

    /// Runs a job on a reader's thread. It sees one snapshot within one statement only.
    ///
    /// # Errors
    /// The job's.
    pub async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.inner.threads.reader().await?.run(job).await
    }

    /// The findings of SQLite's own check of the file's pages and trees, at most `lines` of them; none for a whole file.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn integrity(&self, lines: usize) -> Result<Vec<String>, Error> {
        self.read(move |connection| Ok(guard::pages::integrity(connection, lines)))
            .await
    }

    /// Verifies each page of the file, also those that hold nothing now; also while a server has it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn check_pages(&self) -> Result<Checked, Error> {
        if self.inner.threads.layer() == Layer::Plain {
            return Ok(Checked::WithoutSums);
        }
        let path = self.path().to_owned();
        self.read(move |connection| guard::pages::check(connection, &path))
            .await
    }

    pub(crate) async fn schema_version(&self) -> Result<i64, Error> {
        answered(self.read(|connection| Ok(migrate::version(connection)?))).await
    }

    pub(crate) async fn query(&self, sql: Sql, params: Vec<Value>) -> Result<Vec<Row>, Error> {
        let read = self.read(move |connection| statement::query(connection, &sql, &params));
        read.await.map_err(|error| match error {
            // The connection only reads: a statement that writes belongs into a transaction.
            Error::ReadOnly(text) => Error::Engine(text),
            other => other,
        })
    }

    /// Begins to read one moment of the file.
    pub(crate) async fn moment(&self) -> Result<Moment, Error> {
        self.inner.threads.moment().await
    }

    pub(crate) async fn close(&self) {
        self.inner.threads.close().await;
    }
}

/// Waits for an answer as long as a caller may wait.
async fn answered<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let answer = timeout(ANSWER_LIMIT, work).await;
    answer.unwrap_or_else(|_| Err(unanswered()))
}

fn unanswered() -> Error {
    Error::Unavailable("its thread does not answer: the disk hangs, or a transaction takes long".into())
}
