//! Messages on their way into the journal.
//!
//! An [`Appender`] gathers the sends of all sessions and writes them as one batch: the next batch is whatever came in
//! while the last one was committing. There is no timer, a lone message waits for nobody, and a busy node pays one commit
//! for hundreds. What was decided goes to an [`Outlet`] batch by batch, in the order of commits, while the next batch is
//! being written.

pub(crate) mod cache;
mod decide;
pub(crate) mod sent;
pub(crate) mod sqlite;

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use database::Engine;
use proto::{ConversationId, Seq, UserId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::{Error, Journal, announcement::Published};

/// Sends that wait for the next batch. A session whose send finds no place waits, and reads no further from its socket.
const WAITING_SENDS: usize = 8 * 1024;
/// KiB of sends that wait or are being written, each rounded up: with frames of 64 KiB the number of sends alone would
/// allow half a gigabyte.
const WAITING_KIB: usize = 32 * 1024;
/// Sends in one batch: beyond some hundreds a commit costs no less for each, and acks only come later.
const BATCH_SENDS: usize = 1024;
/// Batches that are committed and wait to be delivered: one being delivered and one behind it.
const SETTLING_BATCHES: usize = 2;
/// How long a batch may take, waiting for its turn included, before its sends are answered with UNAVAILABLE (protocol:
/// within 5 s). It may still be committed; a resend tells.
const BATCH_LIMIT: Duration = Duration::from_millis(4500);

/// A message to be appended. Its shape has been checked; who sends it is who the session belongs to.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Where to.
    pub conversation: ConversationId,
    /// Who sends it.
    pub sender: UserId,
    /// The sender's own name for it, 1 to 64 bytes.
    pub client_msg_id: String,
    /// How to read `body`.
    pub mime_type: String,
    /// What it says.
    pub body: Bytes,
    /// People called by name.
    pub mentions: Vec<i64>,
    /// The entry that it answers, or 0.
    pub reply_to_seq: Seq,
}

/// A send that was accepted: it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its place in the conversation.
    pub seq: Seq,
    /// When it was accepted first, epoch milliseconds.
    pub created_ms: i64,
    /// It was there already.
    pub duplicate: bool,
}

/// What became of one send.
#[derive(Debug)]
pub struct Settled<C> {
    /// What the sender gave along.
    pub context: C,
    /// Where it was sent.
    pub conversation: ConversationId,
    /// Its place, or why not.
    pub outcome: Result<Accepted, Error>,
}

/// Where batches go after their commit, in order.
pub trait Outlet<C>: Send + Sync + 'static {
    /// Takes a batch: what became of each send in the order of sending, and the new entries in the order of their
    /// seqs. It may take its time: the batch after the next waits for it.
    fn settle(&self, answers: Vec<Settled<C>>, entries: Vec<Published>) -> impl Future<Output = ()> + Send;
}

/// Appends messages. Dropping it (all clones) ends it after what has been submitted.
pub struct Appender<C> {
    sends: mpsc::Sender<Waiting<C>>,
    kib: Arc<Semaphore>,
    ended: Arc<tokio::sync::Mutex<Option<oneshot::Receiver<()>>>>,
}

/// A send that waits: the message, what the sender gave along, and its share of [`WAITING_KIB`].
type Waiting<C> = (NewMessage, C, OwnedSemaphorePermit);

impl<C> Clone for Appender<C> {
    fn clone(&self) -> Self {
        Self {
            sends: self.sends.clone(),
            kib: self.kib.clone(),
            ended: self.ended.clone(),
        }
    }
}

/// The appender has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the appender has ended")]
pub struct Ended;

impl<C: Send + 'static> Appender<C> {
    /// Starts appending to `journal`; batches go to `outlet`.
    pub fn start(journal: &Journal, outlet: impl Outlet<C>) -> Self {
        let (sends, waiting) = mpsc::channel(WAITING_SENDS);
        let (settling, settled) = mpsc::channel(SETTLING_BATCHES - 1);
        let (end, ended) = oneshot::channel();
        tokio::spawn(commit_batches(journal.clone(), waiting, settling));
        tokio::spawn(async move {
            settle_batches(settled, outlet).await;
            let _ = end.send(());
        });
        Self {
            sends,
            kib: Arc::new(Semaphore::new(WAITING_KIB)),
            ended: Arc::new(tokio::sync::Mutex::new(Some(ended))),
        }
    }

    /// Hands a message over; what becomes of it goes to the outlet with `context`. Waits for a place in the queue.
    ///
    /// # Errors
    /// [`Ended`].
    pub async fn submit(&self, message: NewMessage, context: C) -> Result<(), Ended> {
        let share = self
            .kib
            .clone()
            .acquire_many_owned(kib(&message))
            .await
            .map_err(|_| Ended)?;
        self.sends
            .send((message, context, share))
            .await
            .map_err(|_| Ended)
    }

    /// The same where nothing may wait: gives the message back when the queue is full.
    ///
    /// # Errors
    /// The message, when there is no place for it now.
    pub fn try_submit(&self, message: NewMessage, context: C) -> Result<(), (NewMessage, C)> {
        let Ok(share) = self.kib.clone().try_acquire_many_owned(kib(&message)) else {
            return Err((message, context));
        };
        self.sends.try_send((message, context, share)).map_err(|full| {
            let (message, context, _) = full.into_inner();
            (message, context)
        })
    }

    /// Takes no more and waits until everything submitted has been settled. Other clones must be gone.
    pub async fn end(self) {
        let Self { sends, ended, .. } = self;
        drop(sends);
        if let Some(ended) = ended.lock().await.take() {
            let _ = ended.await;
        }
    }
}

/// A message's share of [`WAITING_KIB`].
fn kib(message: &NewMessage) -> u32 {
    let bytes = message.body.len()
        + message.mime_type.len()
        + message.client_msg_id.len()
        + 8 * message.mentions.len();
    u32::try_from(bytes / 1024 + 1)
        .unwrap_or(u32::MAX)
        .min(WAITING_KIB as u32)
}

struct Batch<C> {
    contexts: Vec<(ConversationId, C)>,
    outcomes: Result<Vec<Result<Accepted, Error>>, database::Error>,
    entries: Vec<crate::Entry>,
}

async fn commit_batches<C: Send>(
    journal: Journal,
    mut waiting: mpsc::Receiver<Waiting<C>>,
    settling: mpsc::Sender<Batch<C>>,
) {
    let mut sends = Vec::with_capacity(BATCH_SENDS);
    while waiting.recv_many(&mut sends, BATCH_SENDS).await > 0 {
        metrics::histogram!("huizhen_journal_batch_sends").record(sends.len() as f64);
        let mut contexts = Vec::with_capacity(sends.len());
        let mut messages = Vec::with_capacity(sends.len());
        let mut shares = Vec::with_capacity(sends.len());
        for (message, context, share) in sends.drain(..) {
            contexts.push((message.conversation, context));
            messages.push(message);
            shares.push(share);
        }
        let started = std::time::Instant::now();
        let now_ms = now_ms();
        let written = match journal.database.engine() {
            Engine::Sqlite(sqlite) => {
                let cache = journal.cache.clone();
                let write =
                    sqlite.write(move |connection| sqlite::append(connection, &cache, messages, now_ms));
                match tokio::time::timeout(BATCH_LIMIT, write).await {
                    Ok(written) => written,
                    Err(_) => Err(database::Error::Engine(
                        "a batch of messages took too long".into(),
                    )),
                }
            }
        };
        metrics::histogram!("huizhen_journal_commit_seconds").record(started.elapsed().as_secs_f64());
        drop(shares);
        let (outcomes, entries) = match written {
            Ok(sqlite::Written { outcomes, entries }) => (Ok(outcomes), entries),
            Err(error) => {
                tracing::error!(%error, sends = contexts.len(), "a batch of messages was not written");
                // Whatever the database says now, look again before the next batch.
                journal.cache.forget_all();
                (Err(error), Vec::new())
            }
        };
        if settling
            .send(Batch {
                contexts,
                outcomes,
                entries,
            })
            .await
            .is_err()
        {
            return;
        }
    }
}

async fn settle_batches<C: Send>(mut settled: mpsc::Receiver<Batch<C>>, outlet: impl Outlet<C>) {
    while let Some(Batch {
        contexts,
        outcomes,
        entries,
    }) = settled.recv().await
    {
        let answers = match outcomes {
            Ok(outcomes) => contexts
                .into_iter()
                .zip(outcomes)
                .map(|((conversation, context), outcome)| Settled {
                    context,
                    conversation,
                    outcome,
                })
                .collect(),
            Err(error) => {
                let error = error.to_string();
                contexts
                    .into_iter()
                    .map(|(conversation, context)| Settled {
                        context,
                        conversation,
                        outcome: Err(Error::Database(database::Error::Engine(error.clone()))),
                    })
                    .collect()
            }
        };
        let started = std::time::Instant::now();
        outlet
            .settle(answers, entries.into_iter().map(Published::new).collect())
            .await;
        metrics::histogram!("huizhen_journal_settle_seconds").record(started.elapsed().as_secs_f64());
    }
}

fn now_ms() -> i64 {
    let since_epoch = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
