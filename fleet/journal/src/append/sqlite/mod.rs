//! Appending on SQLite: batches run one after another on the writer's thread, each in one transaction.

mod batch;
mod correction;
mod filter;
mod index;
mod media;
mod resend;

use std::{collections::VecDeque, hash::RandomState, sync::Arc, time::Instant};

use database::{Error as DatabaseError, sqlite::Sqlite};
use proto::Seq;
use telemetry::events::journal::Event;

pub(super) use self::batch::Written;
use self::{
    filter::{Budget, Filter},
    index::Unindexed,
};
use super::{
    BATCH_SENDS, Batch, NewMessage, Settled,
    deadline::{self, Held, Started, Waiting, Writer},
    known::{self, Known},
    now_ms,
};
use crate::Error;

/// Every statement of this folder.
pub(crate) const STATEMENTS: &[&[&str]] = &[
    batch::STATEMENTS,
    correction::STATEMENTS,
    index::STATEMENTS,
    media::STATEMENTS,
    resend::STATEMENTS,
];

/// The cached conversations, and what their filters share.
#[derive(Default)]
pub(crate) struct Cache {
    pub(super) conversations: known::Cache<Tracked>,
    /// Hashes client_msg_ids; random, so that no user can send colliding ones.
    hasher: RandomState,
    /// The memory of all filters.
    budget: Budget,
}

/// A cached conversation and its unindexed entries ([`crate::sql::sqlite::chain`]).
#[derive(Debug)]
pub(super) struct Tracked {
    known: Known,
    /// Entries through this seq are indexed.
    indexed_seq: Seq,
    /// Later entries, in the order of seq.
    unindexed: Vec<Unindexed>,
    /// The messages that are indexed; without it each is looked up.
    filter: Option<Filter>,
}

impl AsMut<Known> for Tracked {
    fn as_mut(&mut self) -> &mut Known {
        &mut self.known
    }
}

/// The queue and the batches of SQLite's one lane.
pub(super) struct BatchWriter<C> {
    sqlite: Sqlite,
    cache: Arc<Cache>,
    checks_media: bool,
    sends: VecDeque<(NewMessage, Held<C>)>,
}

impl<C> BatchWriter<C> {
    pub(super) fn new(sqlite: Sqlite, cache: Arc<Cache>, checks_media: bool) -> Self {
        Self {
            sqlite,
            cache,
            checks_media,
            sends: VecDeque::new(),
        }
    }
}

impl<C: Send + 'static> Writer<C> for BatchWriter<C> {
    type Done = Result<Written, DatabaseError>;

    fn enqueue(&mut self, Waiting { message, held }: Waiting<C>) {
        self.sends.push_back((message, held));
    }

    fn queued(&self) -> usize {
        self.sends.len()
    }

    fn expire(&mut self, now: Instant) -> Vec<Settled<C>> {
        deadline::expire(&mut self.sends, now)
    }

    fn start(&mut self, now: Instant) -> Started<C, Self::Done> {
        let count = self.sends.len().min(BATCH_SENDS);
        let mut sends: Vec<_> = self.sends.drain(..count).collect();
        let refused = deadline::refuse_out_of_turn(&mut sends, now);
        if sends.is_empty() {
            return Started {
                refused,
                running: None,
            };
        }
        let (messages, held) = sends.into_iter().unzip();
        let work = write(
            self.sqlite.clone(),
            self.cache.clone(),
            self.checks_media,
            messages,
        );
        Started {
            refused,
            running: Some((Box::pin(work), held)),
        }
    }

    fn finish(&mut self, done: Self::Done, held: Vec<Held<C>>) -> Batch<C> {
        let now = Instant::now();
        match done {
            Ok(Written {
                outcomes, entries, ..
            }) => {
                let settled = held.into_iter().zip(outcomes);
                let answers = settled.filter_map(|(held, outcome)| held.settle(outcome, now));
                Batch {
                    answers: answers.collect(),
                    entries,
                }
            }
            Err(error) => {
                self.report(&error, held.len());
                // The file may hold another state than the cache after a failed commit.
                self.cache.conversations.forget_all();
                let answers = held
                    .into_iter()
                    .filter_map(|held| held.settle(Err(Error::Database(error.clone())), now));
                Batch::of_answers(answers.collect())
            }
        }
    }

    fn overdue(&self) {
        let error = DatabaseError::Busy("a batch of messages takes too long".into());
        self.sqlite.report(&error);
    }
}

impl<C> BatchWriter<C> {
    fn report(&self, error: &DatabaseError, sends: usize) {
        self.sqlite.report(error);
        match error.outage() {
            Some(_) => Event::BatchInOutage { sends, error },
            None => Event::FailedBatch { sends, error },
        }
        .emit();
    }
}

async fn write(
    sqlite: Sqlite,
    cache: Arc<Cache>,
    checks_media: bool,
    messages: Vec<NewMessage>,
) -> Result<Written, DatabaseError> {
    let (now_ms, committed) = (now_ms(), cache.clone());
    sqlite
        .write_then(
            move |connection| batch::append(connection, &cache, checks_media, messages, now_ms),
            move |written: Written| written.committed(&committed),
        )
        .await
}
