//! The threads of an open file, and the states that it goes through.

mod checkpoint;
mod group;
mod moment;
mod starved;
mod worker;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rusqlite::Connection;
use telemetry::task::Name;
use tokio::{sync::watch, time::timeout};

pub(crate) use self::moment::Moment;
use self::{
    checkpoint::{Checkpointer, LIMITS},
    worker::{Queue, Worker, WriterKeeps},
};
use super::{
    backup,
    guard::{self, Lock},
    open::{self, migrate},
    probe,
    vfs::Layer,
};
use crate::{Error, migrations::Schema};

/// How long a caller waits for the writer: the wire promises an answer within 5 s.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_millis(4_500);
/// How long the writer waits for a lock of SQLite's that another program holds; its caller is answered within
/// [`ANSWER_LIMIT`].
const LOCK_LIMIT: Duration = Duration::from_secs(3);
/// Reader threads: enough that a long list does not hold up a login; each costs a page cache.
const READERS: usize = 3;

/// The threads of one file.
pub(super) struct Threads {
    path: PathBuf,
    layer: Layer,
    /// The threads keep it, for a connection beside theirs.
    lock: Weak<Lock>,
    /// Jobs never hold it: they take the worker out of it and wait for that.
    state: watch::Sender<State>,
    next_reader: AtomicUsize,
}

#[derive(Clone)]
enum State {
    /// Served: a writer and its readers.
    Served {
        writer: Arc<Worker>,
        readers: Arc<[Worker]>,
    },
    /// Open for reading only.
    ReadOnly {
        readers: Arc<[Worker]>,
    },
    /// Opened on a full disk, and read until there is room.
    Starved {
        readers: Arc<[Worker]>,
        lock: Arc<Lock>,
    },
    /// There is room by now: the readers are being replaced by all threads.
    Reopening,
    Closed,
}

impl Threads {
    /// Opens a file and starts its threads. It blocks.
    pub(super) fn open(path: &Path, schema: Schema, layer: Layer) -> Result<Self, Error> {
        let path = guard::resolve(path)?;
        if schema == Schema::Leave && !path.is_file() {
            return Err(no_such_file(&path));
        }
        let (lock, state) = if starved::is_starved(&path)? {
            let lock = Arc::new(starved::acquire(&path)?);
            let state = starved::read_only(&path, layer, &lock)?;
            (Arc::downgrade(&lock), state)
        } else {
            let mut lock = guard::acquire(&path)?;
            if schema != Schema::Leave && layer == Layer::Sums {
                backup::seal::at_start(&path, &mut lock)?;
            }
            let lock = Arc::new(lock);
            let state = serve(&path, layer, schema, &lock)?;
            (Arc::downgrade(&lock), state)
        };
        Ok(Self::new(path, layer, lock, state))
    }

    /// Opens a file for reading only, also while another process serves it. A file that no process serves is kept from being
    /// served meanwhile. It blocks.
    pub(super) fn look(path: &Path) -> Result<Self, Error> {
        let path = guard::resolve(path)?;
        if !path.is_file() {
            return Err(no_such_file(&path));
        }
        let lock = Lock::unless_served(&path)?.map(Arc::new);
        if lock.is_some() {
            guard::refuse_damage(&path)?;
        }
        let layer = Layer::current();
        let readers = readers(lock.as_ref(), || open::reader(&path, layer))?;
        let lock = lock.as_ref().map_or_else(Weak::new, Arc::downgrade);
        Ok(Self::new(path, layer, lock, State::ReadOnly { readers }))
    }

    fn new(path: PathBuf, layer: Layer, lock: Weak<Lock>, state: State) -> Self {
        Self {
            path,
            layer,
            lock,
            state: watch::Sender::new(state),
            next_reader: AtomicUsize::new(0),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn layer(&self) -> Layer {
        self.layer
    }

    pub(super) fn is_starved(&self) -> bool {
        matches!(*self.state.borrow(), State::Starved { .. })
    }

    /// Why writes are refused from the start on, if they are.
    pub(super) fn refusal(&self) -> Option<Error> {
        self.is_starved().then(starved::no_room)
    }

    /// The queue of the writer.
    ///
    /// # Errors
    /// [`Error::Full`] while the file is starved, [`Error::Closed`] where no thread writes.
    pub(super) async fn writer(&self) -> Result<Queue, Error> {
        self.queue(|state| match state {
            State::Served { writer, .. } => writer.queue().map(Some),
            State::Starved { .. } => Err(starved::no_room()),
            State::Reopening => Ok(None),
            State::ReadOnly { .. } | State::Closed => Err(Error::Closed),
        })
        .await
    }

    /// The queue of one reader, each in turn.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub(super) async fn reader(&self) -> Result<Queue, Error> {
        let at = self.next_reader.fetch_add(1, Ordering::Relaxed) % READERS;
        self.queue(|state| match state {
            State::Served { readers, .. } | State::ReadOnly { readers } | State::Starved { readers, .. } => {
                readers[at].queue().map(Some)
            }
            State::Reopening => Ok(None),
            State::Closed => Err(Error::Closed),
        })
        .await
    }

    /// Asks the state for a queue; a file that is being reopened is waited for.
    async fn queue(&self, of: impl Fn(&State) -> Result<Option<Queue>, Error>) -> Result<Queue, Error> {
        let now = of(&self.state.borrow())?;
        if let Some(queue) = now {
            return Ok(queue);
        }
        let mut states = self.state.subscribe();
        let reopened = states.wait_for(|state| !matches!(state, State::Reopening));
        match timeout(ANSWER_LIMIT, reopened).await {
            Ok(Ok(state)) => of(&state)?.ok_or(Error::Closed),
            _ => Err(Error::Unavailable("the file is being reopened".into())),
        }
    }

    /// Serves a starved file if there is room by now. Calls must not overlap.
    ///
    /// # Errors
    /// [`Error::Full`] while there is no room.
    pub(super) async fn find_room(&self) -> Result<(), Error> {
        let (old, lock) = match &*self.state.borrow() {
            State::Starved { readers, lock } => (readers.clone(), lock.clone()),
            _ => return Ok(()),
        };
        let path = self.path.clone();
        blocking(move || probe::try_room_beside(&path)).await?;
        if !self.replace(State::Reopening) {
            return Err(Error::Closed);
        }
        // While one connection of the process reads without the log's index, none can write it.
        for reader in old.iter() {
            reader.close().await;
        }
        let (path, layer, kept) = (self.path.clone(), self.layer, lock.clone());
        let reopened = blocking(move || starved::reopen(&path, layer, &kept)).await;
        let (state, outcome) = reopened.unwrap_or_else(|error| {
            // Nothing can be read until the next try.
            (State::Starved { readers: old, lock }, Err(error))
        });
        if !self.replace(state.clone()) {
            state.close().await;
        }
        outcome
    }

    /// Replaces the state, unless the file was closed.
    fn replace(&self, new: State) -> bool {
        self.state.send_if_modified(|state| {
            let is_open = !matches!(state, State::Closed);
            if is_open {
                *state = new;
            }
            is_open
        })
    }

    /// Ends the threads after the jobs that are queued.
    pub(super) async fn close(&self) {
        let old = self.state.send_replace(State::Closed);
        old.close().await;
    }
}

impl State {
    async fn close(self) {
        let (writer, readers) = match self {
            Self::Served { writer, readers } => (Some(writer), readers),
            Self::ReadOnly { readers } | Self::Starved { readers, .. } => (None, readers),
            Self::Reopening | Self::Closed => return,
        };
        for reader in readers.iter() {
            reader.close().await;
        }
        // Last, since the last connection moves the log into the file.
        if let Some(writer) = writer {
            writer.close().await;
        }
    }
}

/// Starts the writer and the readers.
fn serve(path: &Path, layer: Layer, schema: Schema, lock: &Arc<Lock>) -> Result<State, Error> {
    let (mut connection, log) = open::writer(path, layer)?;
    let checkpointer = Checkpointer::start(path, &mut connection, LIMITS, layer)?;
    if schema != Schema::Leave {
        migrate::migrate(&mut connection)?;
    }
    connection.busy_timeout(LOCK_LIMIT)?;
    let keeps = WriterKeeps::new(path.to_owned(), checkpointer, log);
    let writer = Worker::start(Name::SqliteWriter, connection, Some(lock.clone()), Some(keeps))?;
    Ok(State::Served {
        writer: Arc::new(writer),
        readers: readers(Some(lock), || open::reader(path, layer))?,
    })
}

/// Starts readers on connections of their own.
fn readers(
    lock: Option<&Arc<Lock>>,
    connect: impl Fn() -> Result<Connection, Error>,
) -> Result<Arc<[Worker]>, Error> {
    let start = |_| Worker::start(Name::SqliteReader, connect()?, lock.cloned(), None);
    (0..READERS).map(start).collect()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Error::Panicked)?
}

fn no_such_file(path: &Path) -> Error {
    Error::Open(format!("{}: no such file", path.display()))
}
