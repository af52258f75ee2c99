//! The store behind acknowledgements: group commit into SQLite with only a (conversation, seq) key, where one thread
//! commits whatever came in while the last commit ran and another acknowledges and fans out meanwhile; or an INSERT for
//! each message ([`inserts`](super::inserts)).

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use anyhow::{Context, Result};
use rusqlite::{Connection, params};

use super::hub::{Arrival, Hub};
use super::inserts::SingleInserts;

/// How many messages may wait for their commit; what comes beyond is refused.
const MAX_WAITING: usize = 65_536;
/// The most messages of one commit.
const MAX_BATCH: usize = 1024;
/// How many commits may wait for their fan-out.
const MAX_COMMITTED: usize = 16;

#[derive(Debug)]
pub(super) enum Store {
    GroupCommit(GroupCommit),
    SingleInserts(SingleInserts),
}

impl Store {
    /// Hands a message over; false when too many wait.
    pub(super) fn append(&self, job: Job) -> bool {
        match self {
            Self::GroupCommit(store) => store.append(job),
            Self::SingleInserts(store) => store.append(job),
        }
    }
}

#[derive(Debug)]
pub(super) struct GroupCommit {
    jobs: SyncSender<Job>,
}

/// A message to be committed.
#[derive(Debug)]
pub(super) struct Job {
    /// From 0.
    pub(super) conversation: usize,
    pub(super) arrival: Arrival,
    pub(super) hub: Arc<Hub>,
}

struct Committed {
    seq: i64,
    job: Job,
}

impl GroupCommit {
    /// Opens or makes the file and starts the threads.
    pub(super) fn open(path: &Path, conversations: usize) -> Result<Self> {
        let database = Connection::open(path).context("cannot open the store")?;
        database.execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA wal_autocheckpoint = 16000;
             PRAGMA cache_size = -65536;
             CREATE TABLE IF NOT EXISTS entry (
                 conversation_id INTEGER NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL,
                 PRIMARY KEY (conversation_id, seq)
             );",
        )?;
        let (jobs, waiting) = sync_channel(MAX_WAITING);
        let (committed, fanning_out) = sync_channel(MAX_COMMITTED);
        thread::Builder::new()
            .name("commit".to_owned())
            .spawn(move || commit(database, vec![0; conversations], waiting, committed))?;
        thread::Builder::new()
            .name("fan-out".to_owned())
            .spawn(move || fan_out(fanning_out))?;
        Ok(Self { jobs })
    }

    /// Hands a message over; false when too many wait.
    pub(super) fn append(&self, job: Job) -> bool {
        self.jobs.try_send(job).is_ok()
    }
}

fn commit(
    mut database: Connection,
    mut last_seqs: Vec<i64>,
    waiting: Receiver<Job>,
    committed: SyncSender<Vec<Committed>>,
) {
    while let Ok(first) = waiting.recv() {
        let mut batch = vec![first];
        while batch.len() < MAX_BATCH {
            match waiting.try_recv() {
                Ok(job) => batch.push(job),
                Err(_) => break,
            }
        }
        // Neighbours in the index are inserted one after the other. Stable, so that a sender's order is kept.
        batch.sort_by_key(|job| job.conversation);
        let batch: Vec<Committed> = batch
            .into_iter()
            .map(|job| {
                let last = &mut last_seqs[job.conversation];
                *last += 1;
                Committed { seq: *last, job }
            })
            .collect();
        // Without its disk the relay shows nothing; the senders see their answers missing.
        if let Err(error) = write(&mut database, &batch) {
            eprintln!("cannot commit: {error}");
            return;
        }
        if committed.send(batch).is_err() {
            return;
        }
    }
}

fn write(database: &mut Connection, batch: &[Committed]) -> rusqlite::Result<()> {
    let transaction = database.transaction()?;
    {
        let mut insert = transaction
            .prepare_cached("INSERT INTO entry (conversation_id, seq, body) VALUES (?1, ?2, ?3)")?;
        for Committed { seq, job } in batch {
            insert.execute(params![
                job.conversation as i64 + 1,
                seq,
                job.arrival.send.body.as_ref()
            ])?;
        }
    }
    transaction.commit()
}

fn fan_out(committed: Receiver<Vec<Committed>>) {
    let mut touched = Vec::new();
    while let Ok(batch) = committed.recv() {
        for Committed { seq, job } in batch {
            job.hub.publish(&job.arrival, Some(seq), &mut touched);
        }
        for outlet in touched.drain(..) {
            outlet.flush();
        }
    }
}
