//! Moving the write-ahead log into the database file. A checkpoint writes and syncs many pages; on the thread that
//! commits, it would delay every acknowledgement. So a thread of its own does it. Under constant load that thread never
//! reaches the end of the log. When the log is too long, the writer moves the last few pages itself, after the thread has moved
//! all others: then SQLite restarts the log. Neither waits for readers: a slow one only delays the restart.

use std::{
    cell::Cell,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
        mpsc,
    },
    thread::JoinHandle,
};

use rusqlite::{Connection, OpenFlags, hooks::Wal};
use telemetry::{
    events::database::Event,
    task::{self, Name, Stopped},
};

use crate::{
    Error,
    sqlite::vfs::{self, Layer},
};

/// Limits of the log's length, in pages of 4 KiB.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// After this many the thread moves them. Smaller logs move the same hot pages more often.
    pub(super) checkpoint_pages: i64,
    /// After this many the writer moves the rest that the thread has left, so that the log restarts. Under constant load it
    /// would grow without bound.
    pub(super) restart_pages: i64,
    /// The thread goes on until at most this many are left, which the writer moves in a few milliseconds.
    pub(super) left_pages: i64,
    /// From here on the writer moves the rest, however long that takes.
    pub(super) longest_pages: i64,
}

/// Passes of the thread: each moves the pages that were written meanwhile, which are fewer each time unless the disk is
/// slower than the load.
const PASSES: usize = 8;

/// 8 MiB, 64 MiB, 512 KiB and 512 MiB. Syncing the database holds up the commits that sync the log on the same disk, so a
/// pass syncs as it writes ([`vfs::pace`]). Shorter passes move the same hot pages more often, longer ones gain nothing more
/// (docs/decisions/0003-sqlite-append.md). A log that is overwritten instead of grown needs no entry in the file system's
/// journal when it is synced.
pub(super) const LIMITS: Limits = Limits {
    checkpoint_pages: 2_000,
    restart_pages: 16_000,
    left_pages: 128,
    longest_pages: 128_000,
};

/// The task of a woken thread.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wake {
    /// To move the pages that are there.
    Move,
    /// To leave as few as it can, since the log is over its limit.
    Finish,
}

/// The writer's handle, used after each job.
pub(super) struct Checkpointer {
    limits: Limits,
    /// `None` while it is being dropped, which ends the thread.
    wake: Option<mpsc::SyncSender<Wake>>,
    thread: Option<JoinHandle<()>>,
    busy: Arc<AtomicBool>,
    /// The length of the log after the writer's last commit, pages.
    log_pages: Arc<AtomicI64>,
    /// Commits of the writer; and their number at the last question.
    commits: Arc<AtomicI64>,
    seen_commits: Cell<i64>,
    /// Log pages at which the thread is woken next.
    next: Cell<i64>,
    /// The length of the log after the last job.
    last: Cell<i64>,
    /// The log was restarted since the last look.
    restarted: Cell<bool>,
    /// How much of the log the thread has moved.
    moved_pages: Arc<AtomicI64>,
    /// The thread was woken last to finish.
    finish: Cell<bool>,
}

impl Checkpointer {
    pub(super) fn start(
        path: &Path,
        writer: &mut Connection,
        limits: Limits,
        layer: Layer,
    ) -> Result<Self, Error> {
        let open_error = |error: &dyn std::fmt::Display| Error::Open(error.to_string());
        let connection = layer
            .open(path, OpenFlags::default())
            .map_err(|error| open_error(&error))?;
        if layer == Layer::Sums {
            vfs::pace(&connection)?;
        }
        // Only checkpoints run here. NORMAL still syncs the log before, and the database after the pages are moved.
        connection
            .pragma_update(None, "synchronous", "NORMAL")
            .map_err(|error| open_error(&error))?;
        connection
            .pragma_update(None, "wal_autocheckpoint", 0)
            .map_err(|error| open_error(&error))?;
        writer
            .pragma_update(None, "wal_autocheckpoint", 0)
            .map_err(|error| open_error(&error))?;
        let log_pages = Arc::new(AtomicI64::new(0));
        let length = log_pages.clone();
        let commits = Arc::new(AtomicI64::new(0));
        let counted = commits.clone();
        writer
            .wal_hook(Some(move |_: &mut Wal, pages: i32| {
                counted.fetch_add(1, Ordering::Relaxed);
                length.store(i64::from(pages), Ordering::Relaxed);
                Ok(())
            }))
            .map_err(|error| open_error(&error))?;
        let (wake, woken) = mpsc::sync_channel::<Wake>(1);
        let busy = Arc::new(AtomicBool::new(false));
        let working = busy.clone();
        let moved_pages = Arc::new(AtomicI64::new(0));
        let reached = moved_pages.clone();
        let length = log_pages.clone();
        let body = move || {
            while let Ok(wake) = woken.recv() {
                task::plant::here(Name::SqliteCheckpoint);
                let passes = match wake {
                    Wake::Move => 1,
                    Wake::Finish => PASSES,
                };
                for _ in 0..passes {
                    let moved = checkpoint(&connection, "thread");
                    let synced = match layer {
                        Layer::Sums => vfs::sync_paced(&connection),
                        Layer::Plain => Ok(()),
                    };
                    if let Err(vfs::Code(code)) = synced {
                        // A file system reports a lost write once: later syncs of this connection prove nothing. The writer's
                        // own connection gets the error, too.
                        Event::CheckpointUnsynced { code }.emit();
                        // In this order: a wake without a receiver is an error, and one that is lost here is not waited for.
                        drop(woken);
                        working.store(false, Ordering::Release);
                        return Stopped;
                    }
                    reached.store(moved, Ordering::Relaxed);
                    if length.load(Ordering::Relaxed) - moved <= limits.left_pages {
                        break;
                    }
                }
                working.store(false, Ordering::Release);
            }
            Stopped
        };
        let thread = task::vital_thread(Name::SqliteCheckpoint, body).map_err(|error| open_error(&error))?;
        Ok(Self {
            limits,
            wake: Some(wake),
            thread: Some(thread),
            busy,
            log_pages,
            commits,
            seen_commits: Cell::new(0),
            moved_pages,
            next: Cell::new(limits.checkpoint_pages),
            last: Cell::new(0),
            restarted: Cell::new(false),
            finish: Cell::new(false),
        })
    }

    /// The length of the log in pages, if there was a commit since the last question.
    pub(super) fn newly_committed(&self) -> Option<u32> {
        let commits = self.commits.load(Ordering::Relaxed);
        let is_new = self.seen_commits.replace(commits) != commits;
        let pages = self.log_pages.load(Ordering::Relaxed);
        is_new.then(|| u32::try_from(pages).ok()).flatten()
    }

    /// Decides by the length of the log after a job of the writer.
    pub(super) fn after_job(&self, writer: &Connection) {
        let Limits {
            checkpoint_pages,
            restart_pages,
            left_pages,
            longest_pages,
        } = self.limits;
        let pages = self.log_pages.load(Ordering::Relaxed);
        if pages < self.last.replace(pages) {
            self.restarted.set(true);
        }
        if self.busy.load(Ordering::Acquire) {
            return;
        }
        if self.restarted.take() {
            self.finish.set(false);
            self.next.set(checkpoint_pages);
            self.moved_pages.store(0, Ordering::Relaxed);
        }
        let left = pages - self.moved_pages.load(Ordering::Relaxed);
        if self.finish.get() && (left <= 2 * left_pages || pages >= longest_pages) {
            // The rest came in during the thread's last pass. The next commit restarts the log, unless a
            // reader is still in it; then this is repeated later.
            self.finish.set(false);
            checkpoint(writer, "writer");
            self.next.set(pages + checkpoint_pages);
        } else if pages >= self.next.get() {
            let wake_for = if pages >= restart_pages {
                Wake::Finish
            } else {
                Wake::Move
            };
            self.finish.set(wake_for == Wake::Finish);
            // Where commits are longer than the rest that the thread may leave, it retries soon.
            let step = match wake_for {
                Wake::Move => checkpoint_pages,
                Wake::Finish => checkpoint_pages.min(4 * left_pages),
            };
            self.next.set(pages + step);
            self.busy.store(true, Ordering::Release);
            let woken = self.wake.as_ref().map(|wake| wake.try_send(wake_for));
            if !matches!(woken, Some(Ok(()))) {
                // The thread has ended; the writer moves everything when the log is at its longest.
                self.busy.store(false, Ordering::Release);
            }
        }
    }
}

impl Drop for Checkpointer {
    /// Waits for the thread: the next opener of the file must not meet a checkpoint of ours.
    fn drop(&mut self) {
        self.wake.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Moves the pages that no reader blocks, without waiting for any. Returns the length of the moved part of the log.
fn checkpoint(connection: &Connection, by: &'static str) -> i64 {
    let started = std::time::Instant::now();
    let outcome = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2));
    let outcome = outcome.map_err(Error::from);
    Event::Checkpoint {
        by,
        seconds: started.elapsed().as_secs_f64(),
        error: outcome
            .as_ref()
            .err()
            .map(|error| error as &dyn std::fmt::Display),
    }
    .emit();
    outcome.unwrap_or(0)
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
