//! A thread that owns a connection and runs jobs on it, one after another.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::Arc,
};

use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::{mpsc, oneshot};

use super::{
    checkpoint::Checkpointer,
    guard,
    lock::Lock,
    mark::{Mark, MarkFile},
    probe,
    vfs::Shared,
};
use crate::Error;

/// Jobs that wait for a thread. Beyond that callers wait for a place, which holds up their own requests only.
const QUEUED_JOBS: usize = 1024;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

thread_local! {
    /// Whether this thread is one of ours. A transaction that asks the handle instead of itself would put a job behind
    /// itself, which would run after the transaction was rolled back for waiting.
    static OURS: Cell<bool> = const { Cell::new(false) };
}

/// What only the writer's thread has.
pub(super) struct WriterKeeps {
    /// Ends before the connection is closed.
    checkpointer: Checkpointer,
    /// What is gathered for its log; none where SQLite is left alone.
    log: Option<Arc<Shared>>,
    mark: MarkFile,
    path: PathBuf,
}

impl WriterKeeps {
    pub(super) fn new(path: PathBuf, checkpointer: Checkpointer, log: Option<Arc<Shared>>) -> Self {
        Self {
            checkpointer,
            log,
            mark: MarkFile::new(guard::mark_of(&path)),
            path,
        }
    }

    fn after_job(&mut self, connection: &Connection) {
        if let Some(log) = &self.log {
            log.drop_gathered();
            if let Some(frames) = self.checkpointer.newly_committed()
                && let Some(salts) = log.salts()
            {
                self.mark.set(Mark { salts, frames });
            }
        }
        self.checkpointer.after_job(connection);
    }

    /// Before the connection moves the whole log and removes it.
    fn end(self) {
        drop(self.checkpointer);
        if let Err(error) = guard::forget_mark(&self.path) {
            tracing::error!(%error, "the mark of the log stays, and the next start will miss the log");
        }
    }
}

pub(super) struct Worker {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    ended: tokio::sync::Mutex<Option<oneshot::Receiver<()>>>,
}

impl Worker {
    /// Starts the thread. The writer's tells its checkpointer after every job how long the log has become. The lock is kept
    /// until the last connection is closed: nobody else may have the file before, and closing its handle takes SQLite's
    /// own locks away.
    pub(super) fn start(
        name: &str,
        mut connection: Connection,
        lock: Option<Arc<Lock>>,
        mut keeps: Option<WriterKeeps>,
    ) -> Self {
        let (jobs, mut waiting) = mpsc::channel::<Job>(QUEUED_JOBS);
        let (end, ended) = oneshot::channel();
        let body = move || {
            OURS.set(true);
            while let Some(job) = waiting.blocking_recv() {
                // A job answers through its own channel; a panic drops that, and the caller sees Error::Panicked.
                let outcome = catch_unwind(AssertUnwindSafe(|| job(&mut connection)));
                if outcome.is_err() {
                    tracing::error!("a job on the database panicked; its transaction is rolled back");
                }
                if !connection.is_autocommit() {
                    roll_back(&connection);
                }
                if let Some(keeps) = &mut keeps {
                    keeps.after_job(&connection);
                }
            }
            if let Some(keeps) = keeps {
                keeps.end();
            }
            // The last one to close the file moves the log into it.
            drop(connection);
            drop(lock);
            let _ = end.send(());
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
        // Without its threads the process cannot serve at all, and this is its start.
        thread.expect("the operating system gives a thread");
        Self {
            jobs: Mutex::new(Some(jobs)),
            ended: tokio::sync::Mutex::new(Some(ended)),
        }
    }

    pub(super) async fn run<T, E>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        if OURS.get() {
            return Err(Error::Suspended.into());
        }
        let (answer, answered) = oneshot::channel();
        let jobs = self.jobs.lock().clone().ok_or(Error::Closed)?;
        let job: Job = Box::new(move |connection| {
            let outcome = job(connection);
            if outcome.is_err() && !connection.is_autocommit() {
                roll_back(connection);
            }
            let _ = answer.send(outcome);
        });
        jobs.send(job).await.map_err(|_| Error::Closed)?;
        answered.await.map_err(|_| Error::Panicked)?
    }

    /// No more jobs; waits for the ones that are queued.
    pub(super) async fn close(&self) {
        self.jobs.lock().take();
        if let Some(ended) = self.ended.lock().await.take() {
            let _ = ended.await;
        }
    }
}

fn roll_back(connection: &Connection) {
    if let Err(error) = connection.execute_batch("ROLLBACK") {
        tracing::error!(%error, "a rollback failed");
    }
}

/// Commits, which syncs the log. After a failed sync nobody can tell what is on the disk: the process ends, and the
/// next start reads what really is there. A write for which there was no room is another matter: SQLite gives the transaction
/// up, and nothing of it is seen.
pub(super) fn commit(connection: &Connection) -> Result<(), Error> {
    let started = std::time::Instant::now();
    let committed = connection.execute_batch("COMMIT");
    metrics::histogram!("huizhen_database_commit_seconds").record(started.elapsed().as_secs_f64());
    let Err(error) = committed else {
        return Ok(());
    };
    if error.sqlite_error_code() != Some(ErrorCode::SystemIoFailure) || Error::is_damage(&error) {
        return Err(error.into());
    }
    if error.sqlite_extended_error_code() == Some(rusqlite::ffi::SQLITE_IOERR_WRITE)
        && let refused @ (Error::Full(_) | Error::ReadOnly(_)) = probe::of_io(&system_error(connection))
    {
        return Err(refused);
    }
    tracing::error!(%error, "the disk failed during a commit; the process ends so that nothing false is acknowledged");
    std::process::abort();
}

/// What the operating system said last on this connection.
fn system_error(connection: &Connection) -> std::io::Error {
    #[allow(unsafe_code, reason = "rusqlite has no safe way to the system's error number")]
    // SAFETY: the handle is that of an open connection, which only this thread uses.
    let number = unsafe { rusqlite::ffi::sqlite3_system_errno(connection.handle()) };
    std::io::Error::from_raw_os_error(number)
}
