//! Messages on their way into the journal.
//!
//! An [`Appender`] gathers the sends of all sessions and writes them as one batch: the next batch is whatever came in
//! while the last one was committing. There is no timer, a lone message waits for nobody, and a busy node pays one commit
//! for hundreds. What was decided goes to an [`Outlet`] batch by batch, in the order of commits, while the next batch is
//! being written.
//!
//! On SQLite there is one writer. On PostgreSQL there are [`LANES`], each with a connection of its own; a conversation is
//! always on the same one, so that the batches of a node never meet on a row.

pub(crate) mod cache;
mod decide;
mod filter;
mod lane;
mod order;
pub(crate) mod postgres;
mod queue;
pub(crate) mod sent;
pub(crate) mod sqlite;
mod writer;

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use database::{Engine, Error as DatabaseError};
use proto::{ConversationId, Seq, UserId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

pub use self::order::Stream;
use self::order::Turn;
use crate::{Entry, Error, Journal, announcement::Published};

/// Sends that wait for the next batch. A session whose send finds no place waits, and reads no further from its socket.
const WAITING_SENDS: usize = 8 * 1024;
/// KiB of sends that wait or are being written, each rounded up: with frames of 64 KiB the number of sends alone would
/// allow half a gigabyte.
const WAITING_KIB: usize = 32 * 1024;
/// Sends in one batch: beyond some hundreds a commit costs no less for each, and acks only come later.
const BATCH_SENDS: usize = 1024;
/// Batches that are committed and wait to be delivered: one being delivered and one behind it.
const SETTLING_BATCHES: usize = 2;
/// How long a send may take, waiting for its turn included, before it is answered with UNAVAILABLE (protocol: within
/// 5 s). It may still be committed; a resend tells.
const SEND_LIMIT: Duration = Duration::from_millis(4500);
/// Batches that a node writes to PostgreSQL at a time: while one waits for its commit, the server's processors are free.
const LANES: usize = 4;

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
    /// Whose order it keeps; `None` keeps none.
    pub stream: Option<Arc<Stream>>,
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
    /// When a message of a [`Stream`] that was refused may come again: later ones of its conversation later, so that they
    /// come in order. Zero when that is for the caller to say.
    pub retry_after: Duration,
}

impl<C> Settled<C> {
    /// Remembers a refusal that is not final in the message's stream.
    fn new(context: C, turn: &Turn, outcome: Result<Accepted, Error>, now: Instant) -> Self {
        let retry_after = match &outcome {
            // Rows that contradict each other refuse it for good: it must not hold up the others.
            Ok(_) | Err(Error::Database(DatabaseError::Damaged(_))) => Duration::ZERO,
            Err(Error::Database(_)) => turn.refuse(now),
            Err(_) => Duration::ZERO,
        };
        Self {
            context,
            conversation: turn.conversation(),
            outcome,
            retry_after,
        }
    }

    /// The answer to a send that has waited for too long.
    fn late(context: C, turn: &Turn, now: Instant) -> Self {
        let told = "no answer in time; the message may still be appended, a resend tells";
        Self::new(context, turn, unavailable(told), now)
    }

    /// The answer to a send that came before an earlier one which was refused.
    fn out_of_turn(context: C, turn: &Turn, now: Instant) -> Self {
        let told = "an earlier message of this session and conversation was refused and has not come again";
        Self::new(context, turn, unavailable(told), now)
    }
}

fn unavailable(told: &str) -> Result<Accepted, Error> {
    Err(Error::Database(DatabaseError::Unavailable(told.into())))
}

/// Where batches go after their commit, in order.
pub trait Outlet<C>: Send + Sync + 'static {
    /// Takes a batch: what became of each send in the order of sending, and the new entries in the order of their
    /// seqs. It may take its time: the batch after the next waits for it.
    fn settle(&self, answers: Vec<Settled<C>>, entries: Vec<Published>) -> impl Future<Output = ()> + Send;
}

/// Appends messages. Dropping it (all clones) ends it after what has been submitted.
pub struct Appender<C> {
    lanes: Arc<[mpsc::Sender<Waiting<C>>]>,
    kib: Arc<Semaphore>,
    ended: Arc<tokio::sync::Mutex<Option<oneshot::Receiver<()>>>>,
}

/// A send that waits.
struct Waiting<C> {
    message: NewMessage,
    /// What the sender gave along.
    context: C,
    turn: Turn,
    /// When it was submitted.
    since: Instant,
    /// Its share of [`WAITING_KIB`].
    share: OwnedSemaphorePermit,
}

/// What goes to the outlet together.
struct Batch<C> {
    answers: Vec<Settled<C>>,
    entries: Vec<Entry>,
}

impl<C> Clone for Appender<C> {
    fn clone(&self) -> Self {
        Self {
            lanes: self.lanes.clone(),
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
        let outlet = Arc::new(outlet);
        let (end, ended) = oneshot::channel();
        let mut settlers = tokio::task::JoinSet::new();
        let mut settling = || {
            let (settling, settled) = mpsc::channel(SETTLING_BATCHES - 1);
            settlers.spawn(settle_batches(settled, outlet.clone()));
            settling
        };
        let lanes = match journal.database.engine() {
            Engine::Sqlite(sqlite) => {
                let (sends, waiting) = mpsc::channel(WAITING_SENDS);
                let writer = writer::commit_batches(sqlite.clone(), journal.clone(), waiting, settling());
                tokio::spawn(writer);
                vec![sends]
            }
            Engine::Postgres(postgres) => (0..LANES)
                .map(|_| {
                    let (sends, waiting) = mpsc::channel(WAITING_SENDS / LANES / 2);
                    let lane = lane::Lane::new(journal.cache.clone(), postgres.clone(), settling());
                    tokio::spawn(lane.run(waiting));
                    sends
                })
                .collect(),
        };
        tokio::spawn(async move {
            while settlers.join_next().await.is_some() {}
            let _ = end.send(());
        });
        Self {
            lanes: lanes.into(),
            kib: Arc::new(Semaphore::new(WAITING_KIB)),
            ended: Arc::new(tokio::sync::Mutex::new(Some(ended))),
        }
    }

    /// Hands a message over; what becomes of it goes to the outlet with `context`. Waits for a place in the queue.
    ///
    /// # Errors
    /// [`Ended`].
    pub async fn submit(&self, message: NewMessage, context: C) -> Result<(), Ended> {
        let since = Instant::now();
        let turn = Turn::next(&message);
        let share = self.kib.clone().acquire_many_owned(kib(&message));
        let share = share.await.map_err(|_| Ended)?;
        let lane = self.lane(message.conversation);
        let waiting = Waiting {
            message,
            context,
            turn,
            since,
            share,
        };
        lane.send(waiting).await.map_err(|_| Ended)
    }

    /// The same where nothing may wait: gives the message back when the queue is full.
    ///
    /// # Errors
    /// The message, when there is no place for it now.
    pub fn try_submit(&self, message: NewMessage, context: C) -> Result<(), (NewMessage, C)> {
        let Ok(share) = self.kib.clone().try_acquire_many_owned(kib(&message)) else {
            return Err((message, context));
        };
        let lane = self.lane(message.conversation);
        let waiting = Waiting {
            turn: Turn::next(&message),
            message,
            context,
            since: Instant::now(),
            share,
        };
        lane.try_send(waiting).map_err(|full| {
            let waiting = full.into_inner();
            (waiting.message, waiting.context)
        })
    }

    fn lane(&self, conversation: ConversationId) -> &mpsc::Sender<Waiting<C>> {
        // Ids come in blocks: neighbours go to different lanes.
        let at = conversation.get().unsigned_abs() % self.lanes.len() as u64;
        &self.lanes[at as usize]
    }

    /// Takes no more and waits until everything submitted has been settled. Other clones must be gone.
    pub async fn end(self) {
        let Self { lanes, ended, .. } = self;
        drop(lanes);
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

async fn settle_batches<C: Send>(mut settled: mpsc::Receiver<Batch<C>>, outlet: Arc<impl Outlet<C>>) {
    while let Some(Batch { answers, entries }) = settled.recv().await {
        let started = std::time::Instant::now();
        outlet
            .settle(answers, entries.into_iter().map(Published::new).collect())
            .await;
        metrics::histogram!("huizhen_journal_settle_seconds").record(started.elapsed().as_secs_f64());
    }
}

/// The entry that an accepted message has become.
fn entry(message: NewMessage, seq: Seq, created_ms: i64) -> Entry {
    Entry {
        conversation: message.conversation,
        seq,
        sender: message.sender,
        kind: proto::wire::EntryKind::Message,
        created_ms,
        client_msg_id: message.client_msg_id,
        mime_type: message.mime_type,
        body: message.body,
        reply_to_seq: message.reply_to_seq,
        corrects_seq: Seq::ZERO,
        mentions: message.mentions,
        event: None,
        recalled: false,
    }
}

fn now_ms() -> i64 {
    let since_epoch = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
