//! Moving the write-ahead log into the database file. A checkpoint writes and syncs many pages; done by the thread that
//! commits, it would hold up every acknowledgement (it is what makes the p99 of such servers). So a thread of its own
//! does it. The writer only waits when the log has grown so long that it has to be begun anew.

use std::{
    cell::Cell,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
        mpsc,
    },
};

use rusqlite::{Connection, hooks::Wal};

use crate::Error;

/// Log pages (4 KiB) after which the thread moves them. Smaller logs move the same hot pages more often.
const CHECKPOINT_PAGES: i64 = 16_000;
/// Log pages after which the writer itself begins the log anew, after the thread has moved it: 256 MiB. Under constant
/// load the thread alone never reaches the end of the log, and the file would grow without bound.
const RESTART_PAGES: i64 = 64_000;

/// What the writer tells after each job.
pub(super) struct Checkpointer {
    wake: mpsc::SyncSender<()>,
    busy: Arc<AtomicBool>,
    /// The length of the log after the writer's last commit, pages.
    log_pages: Arc<AtomicI64>,
    /// Log pages at which the thread is woken next.
    next: Cell<i64>,
    /// The log was over its limit when the thread was woken last.
    restart: Cell<bool>,
}

impl Checkpointer {
    pub(super) fn start(path: &Path, writer: &mut Connection) -> Result<Self, Error> {
        let open_error = |error: &dyn std::fmt::Display| Error::Open(error.to_string());
        let connection = Connection::open(path).map_err(|error| open_error(&error))?;
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
        writer
            .wal_hook(Some(move |_: &mut Wal, pages: i32| {
                length.store(i64::from(pages), Ordering::Relaxed);
                Ok(())
            }))
            .map_err(|error| open_error(&error))?;
        let (wake, woken) = mpsc::sync_channel::<()>(1);
        let busy = Arc::new(AtomicBool::new(false));
        let working = busy.clone();
        let body = move || {
            while woken.recv().is_ok() {
                checkpoint(&connection, "PASSIVE");
                working.store(false, Ordering::Release);
            }
        };
        let thread = std::thread::Builder::new()
            .name("sqlite-checkpoint".into())
            .spawn(body);
        thread.map_err(|error| open_error(&error))?;
        Ok(Self {
            wake,
            busy,
            log_pages,
            next: Cell::new(CHECKPOINT_PAGES),
            restart: Cell::new(false),
        })
    }

    /// Looks at the length of the log after a job of the writer.
    pub(super) fn after_job(&self, writer: &Connection) {
        let pages = self.log_pages.load(Ordering::Relaxed);
        if self.busy.load(Ordering::Acquire) {
            return;
        }
        if self.restart.take() {
            // What is left to move is what came in while the thread moved the rest.
            checkpoint(writer, "RESTART");
            self.next.set(CHECKPOINT_PAGES);
        } else if pages >= self.next.get() {
            self.restart.set(pages >= RESTART_PAGES);
            self.next.set(pages + CHECKPOINT_PAGES);
            self.busy.store(true, Ordering::Release);
            let _ = self.wake.try_send(());
        } else if pages < self.next.get() - 2 * CHECKPOINT_PAGES {
            // SQLite began the log anew by itself, since all of it had been moved.
            self.next.set(CHECKPOINT_PAGES);
        }
    }
}

fn checkpoint(connection: &Connection, mode: &str) {
    let started = std::time::Instant::now();
    let outcome = connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()));
    metrics::histogram!("huizhen_database_checkpoint_seconds", "mode" => mode.to_owned())
        .record(started.elapsed().as_secs_f64());
    if let Err(error) = outcome {
        tracing::warn!(%error, mode, "a checkpoint failed; the next one moves what is left");
    }
}
