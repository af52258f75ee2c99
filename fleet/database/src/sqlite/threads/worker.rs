//! A thread that owns a connection and runs jobs on it, one after another.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::Arc,
};

use parking_lot::Mutex;
use rusqlite::Connection;
use telemetry::{
    events::database::Event,
    task::{self, Name, Stopped},
};
use tokio::sync::{mpsc, oneshot};

use super::{
    checkpoint::Checkpointer,
    group::{Answer, Groups, Part},
};
use crate::{
    Error,
    sqlite::{
        guard::{self, Lock, Mark, MarkFile},
        transaction::roll_back,
        vfs::Shared,
    },
};

/// Capacity of a thread's queue, jobs. Further callers wait for a place, which holds up their own requests only.
const QUEUED_JOBS: usize = 1024;

enum Job {
    /// Ends its own transaction, if it has one.
    Alone(Box<dyn FnOnce(&mut Connection) + Send>),
    /// A transaction that may share its commit.
    Shared(Box<dyn Part>),
}

thread_local! {
    /// Whether this thread is a worker. A transaction that uses the handle instead of itself would queue a job behind
    /// itself, which would run after the transaction was rolled back for waiting.
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

/// The state of the writer's thread beside its connection.
pub(super) struct WriterKeeps {
    /// Ends before the connection is closed.
    checkpointer: Checkpointer,
    /// The log's coalesced writes; `None` on SQLite's own file layer.
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
            Event::MarkKept { error: &error }.emit();
        }
    }
}

/// A thread's handle.
pub(super) struct Worker {
    queue: Mutex<Option<Queue>>,
    ended: tokio::sync::Mutex<Option<oneshot::Receiver<()>>>,
}

/// Where jobs wait for a thread. The thread runs as long as there is one.
#[derive(Clone)]
pub(crate) struct Queue(mpsc::Sender<Job>);

impl Worker {
    /// Starts the thread, whose panic ends the process. The lock is kept until the last connection is closed: no other process may have the file before,
    /// and closing its handle drops SQLite's own locks.
    pub(super) fn start(
        name: Name,
        mut connection: Connection,
        lock: Option<Arc<Lock>>,
        mut keeps: Option<WriterKeeps>,
    ) -> Result<Self, Error> {
        let (queue, mut waiting) = mpsc::channel::<Job>(QUEUED_JOBS);
        let (end, ended) = oneshot::channel();
        let body = move || {
            IS_WORKER.set(true);
            let mut groups = Groups::default();
            // A job that was looked at while it waited.
            let mut seen = None;
            while let Some(job) = seen.take().or_else(|| waiting.blocking_recv()) {
                task::plant::here(name);
                match job {
                    Job::Shared(part) => {
                        groups.run(&mut connection, part, || match waiting.try_recv().ok()? {
                            Job::Shared(part) => Some(part),
                            alone @ Job::Alone(_) => {
                                seen = Some(alone);
                                None
                            }
                        });
                    }
                    Job::Alone(job) => {
                        // A job answers through its own channel; a panic drops that, and the caller sees Error::Panicked.
                        let outcome = catch_unwind(AssertUnwindSafe(|| job(&mut connection)));
                        if outcome.is_err() {
                            Event::WorkPanicked.emit();
                        }
                    }
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
            // The last connection to close moves the log into the file.
            drop(connection);
            drop(lock);
            let _ = end.send(());
            Stopped
        };
        task::vital_thread(name, body)
            .map_err(|error| Error::Open(format!("no thread for {name}: {error}")))?;
        Ok(Self {
            queue: Mutex::new(Some(Queue(queue))),
            ended: tokio::sync::Mutex::new(Some(ended)),
        })
    }

    /// The thread's queue.
    ///
    /// # Errors
    /// [`Error::Closed`] once it is closed.
    pub(super) fn queue(&self) -> Result<Queue, Error> {
        self.queue.lock().clone().ok_or(Error::Closed)
    }

    /// Ends the thread after the jobs that are queued.
    pub(super) async fn close(&self) {
        self.queue.lock().take();
        if let Some(ended) = self.ended.lock().await.take() {
            let _ = ended.await;
        }
    }
}

impl Queue {
    /// Runs a job in its turn, to its end, also when this future is dropped.
    pub(crate) async fn run<T, E>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        if IS_WORKER.get() {
            return Err(Error::Suspended.into());
        }
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move |connection: &mut Connection| {
            let outcome = job(connection);
            if outcome.is_err() && !connection.is_autocommit() {
                roll_back(connection);
            }
            let _ = answer.send(outcome);
        });
        self.0.send(Job::Alone(job)).await.map_err(|_| Error::Closed)?;
        answered.await.map_err(|_| Error::Panicked)?
    }

    /// Runs the statements of a transaction in their turn, and commits them, maybe with those of its neighbours. `note`
    /// sees why it did not begin, or how its commit ended.
    pub(crate) async fn share<E>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<(), E> + Send + 'static,
        note: impl Fn(&Result<(), Error>) + Send + 'static,
    ) -> Result<(), E>
    where
        E: From<Error> + Send + 'static,
    {
        if IS_WORKER.get() {
            return Err(Error::Suspended.into());
        }
        let (answer, answered) = oneshot::channel();
        let part = Box::new(Transaction { work, note, answer });
        self.0.send(Job::Shared(part)).await.map_err(|_| Error::Closed)?;
        answered.await.map_err(|_| Error::Panicked)?
    }
}

/// A transaction in the queue.
struct Transaction<W, N, E> {
    work: W,
    note: N,
    answer: oneshot::Sender<Result<(), E>>,
}

impl<W, N, E> Part for Transaction<W, N, E>
where
    W: FnOnce(&mut Connection) -> Result<(), E> + Send,
    N: Fn(&Result<(), Error>) + Send + 'static,
    E: From<Error> + Send + 'static,
{
    fn run(self: Box<Self>, connection: &mut Connection) -> (bool, Answer) {
        let Self { work, note, answer } = *self;
        match work(connection) {
            Ok(()) => {
                let ended = move |outcome| {
                    note(&outcome);
                    let _ = answer.send(outcome.map_err(E::from));
                };
                (true, Box::new(ended))
            }
            Err(error) => {
                let rolled_back = move |seen: Result<(), Error>| {
                    let _ = answer.send(Err(seen.map_or_else(E::from, |()| error)));
                };
                (false, Box::new(rolled_back))
            }
        }
    }

    fn refuse(self: Box<Self>, error: Error) {
        let outcome = Err(error);
        (self.note)(&outcome);
        let _ = self.answer.send(outcome.map_err(E::from));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails says where")]

    use super::*;

    /// The answer to the caller of a refused transaction, by the outcome of the rows that it saw.
    fn heard(seen: Result<(), Error>) -> Error {
        let (answer, mut answered) = oneshot::channel::<Result<(), Error>>();
        let part = Box::new(Transaction {
            work: |_: &mut Connection| Err(Error::Refused),
            note: |_: &Result<(), Error>| {},
            answer,
        });
        let (is_kept, answer) = part.run(&mut Connection::open_in_memory().unwrap());
        assert!(!is_kept && answered.try_recv().is_err(), "it is answered later");
        answer(seen);
        answered.try_recv().unwrap().unwrap_err()
    }

    #[test]
    fn a_refusal_by_rows_that_were_lost_says_nothing() {
        assert!(matches!(heard(Ok(())), Error::Refused));
        assert!(matches!(heard(Err(Error::Busy("lost".into()))), Error::Busy(_)));
    }
}
