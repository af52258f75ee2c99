//! Appending messages.
//!
//! An [`Appender`] collects the sends of all sessions and writes them in batches: the next batch is whatever arrived while
//! the last one was committing. There is no timer: a lone message is written at once, and a busy node pays one commit for
//! hundreds of messages. Results go to an [`Outlet`] batch by batch, in commit order, while the next batch is written.
//!
//! SQLite has one lane. PostgreSQL has [`LANES`], each with its own connection; a conversation always uses the same one, so
//! the batches of a node never contend for a row. A lane answers every send in time ([`deadline`]).

mod deadline;
mod decide;
mod engine;
mod known;
pub(crate) mod postgres;
pub(crate) mod sqlite;
mod stream;

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use database::{Error as DatabaseError, Part};
use parking_lot::Mutex;
use proto::{ConversationId, Seq, UserId, wire};
use telemetry::{
    events::journal::{self as events, Event},
    task::{self, Name, Stopped},
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};

pub(crate) use self::engine::Engine;
pub use self::stream::Stream;
use self::{
    deadline::{Held, Lane, SEND_LIMIT, Waiting, Writer},
    stream::Turn,
};
use crate::{Entry, Error, Journal, announcement::Published};

/// Queued sends. A session whose send finds the queue full waits, and is not read meanwhile.
const WAITING_SENDS: usize = 8 * 1024;
/// KiB of sends that are queued or being written, each rounded up: at 64 KiB a frame, the number of sends alone would allow
/// half a gigabyte.
const WAITING_KIB: usize = 32 * 1024;
/// Sends in one batch: beyond some hundreds the cost of a commit per send no longer falls, and acks come later.
const BATCH_SENDS: usize = 1024;
/// Committed batches that wait for delivery: one in delivery and one behind it.
const SETTLING_BATCHES: usize = 2;
/// Concurrent batches on PostgreSQL: while one waits for its commit, the server's processors are free.
const LANES: usize = 4;
/// The same where conversations lie on several machines: each batch is of one conversation, so there are more of them.
const LANES_TO_MACHINES: usize = 16;

/// A message to append. The caller has checked its shape and authenticated its sender.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// The conversation.
    pub conversation: ConversationId,
    /// The sender.
    pub sender: UserId,
    /// The sender's own id for it, 1 to 64 bytes.
    pub client_msg_id: String,
    /// The type of `body`.
    pub mime_type: String,
    /// The content.
    pub body: Bytes,
    /// The users whom it mentions.
    pub mentions: Vec<i64>,
    /// The entry that it answers, or 0.
    pub reply_to_seq: Seq,
    /// The sender's own message that it corrects, or 0.
    pub corrects_seq: Seq,
    /// The stream whose order it keeps, if any.
    pub stream: Option<Arc<Stream>>,
}

/// An accepted send: it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its position in the conversation.
    pub seq: Seq,
    /// When it was accepted first, epoch milliseconds.
    pub created_ms: i64,
    /// Whether an earlier send had written it.
    pub duplicate: bool,
}

/// The result of one send.
#[derive(Debug)]
pub struct Settled<C> {
    /// The sender's context.
    pub context: C,
    /// The conversation.
    pub conversation: ConversationId,
    /// The accepted entry, or why there is none.
    pub outcome: Result<Accepted, Error>,
    /// When a refused message of a [`Stream`] is to be resent: later ones of its conversation later, so that they arrive in
    /// order. Zero when the caller may choose.
    pub retry_after: Duration,
}

impl<C> Settled<C> {
    /// Records a refusal that is not final in the message's stream.
    fn new(context: C, turn: &Turn, outcome: Result<Accepted, Error>, now: Instant) -> Self {
        let retry_after = match &outcome {
            // Damaged rows refuse it for good: it must not delay later messages.
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

    /// The answer to a send beyond [`SEND_LIMIT`].
    fn late(context: C, turn: &Turn, now: Instant) -> Self {
        Event::LateSend.emit();
        let reason = "no answer in time; the message may still be appended, a resend finds out";
        Self::new(context, turn, unavailable(reason), now)
    }

    /// The answer to a send that precedes the resend of an earlier, refused one.
    fn out_of_turn(context: C, turn: &Turn, now: Instant) -> Self {
        let reason =
            "an earlier message of this session and conversation was refused and has not been resent";
        Self::new(context, turn, unavailable(reason), now)
    }
}

fn unavailable(reason: &str) -> Result<Accepted, Error> {
    Err(Error::Database(DatabaseError::Unavailable(reason.into())))
}

/// The receiver of results, in commit order.
pub trait Outlet<C>: Send + Sync + 'static {
    /// Handles a batch: the result of each send in the order of sending, and the new entries in the order of their seqs. The
    /// batch after the next waits for it.
    fn settle(&self, answers: Vec<Settled<C>>, entries: Vec<Published>) -> impl Future<Output = ()> + Send;
}

/// Appends messages. After the last clone is dropped it settles all submitted sends and ends.
pub struct Appender<C> {
    doors: Arc<[Door<C>]>,
    kib: Arc<Semaphore>,
    settlers: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

/// The entrance to a lane.
struct Door<C> {
    sends: mpsc::Sender<Waiting<C>>,
    /// For sends that reach the limit before they get in.
    settling: mpsc::Sender<Batch<C>>,
}

/// Results that go to the outlet together.
struct Batch<C> {
    answers: Vec<Settled<C>>,
    entries: Vec<Entry>,
}

impl<C> Batch<C> {
    fn of_answers(answers: Vec<Settled<C>>) -> Self {
        Self {
            answers,
            entries: Vec::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.answers.is_empty() && self.entries.is_empty()
    }
}

impl<C> Clone for Appender<C> {
    fn clone(&self) -> Self {
        Self {
            doors: self.doors.clone(),
            kib: self.kib.clone(),
            settlers: self.settlers.clone(),
        }
    }
}

/// The appender has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the appender has ended")]
pub struct Ended;

impl<C: Send + 'static> Appender<C> {
    /// Starts appending to `journal`; results go to `outlet`.
    pub fn start(journal: &Journal, outlet: impl Outlet<C>) -> Self {
        let outlet = Arc::new(outlet);
        let mut settlers = Vec::new();
        let mut settling = || {
            let (settling, settled) = mpsc::channel(SETTLING_BATCHES - 1);
            settlers.push(task::vital(
                Name::JournalSettle,
                settle_batches(settled, outlet.clone()),
            ));
            settling
        };
        let doors = match &journal.engine {
            Engine::Sqlite(sqlite, cache) => {
                let writer = sqlite::BatchWriter::new(sqlite.clone(), cache.clone(), journal.checks_media);
                vec![Door::open(Name::JournalWriter, writer, 1, settling())]
            }
            Engine::Postgres(postgres, cache) => {
                let lanes = match postgres.is_distributed() {
                    true => LANES_TO_MACHINES,
                    false => LANES,
                };
                let lane = |_| {
                    let writer =
                        postgres::BatchWriter::new(postgres.clone(), cache.clone(), journal.checks_media);
                    Door::open(Name::JournalLane, writer, lanes, settling())
                };
                (0..lanes).map(lane).collect()
            }
        };
        Self {
            doors: doors.into(),
            kib: Arc::new(Semaphore::new(WAITING_KIB)),
            settlers: Arc::new(Mutex::new(settlers)),
        }
    }

    /// Submits a message; its result goes to the outlet with `context`. Waits while the queue is full, and no longer than a
    /// send may take.
    ///
    /// # Errors
    /// [`Ended`].
    pub async fn submit(&self, message: NewMessage, context: C) -> Result<(), Ended> {
        let submitted = Instant::now();
        let turn = Turn::next(&message);
        let door = self.door(message.conversation);
        let limit = tokio::time::Instant::from_std(submitted + SEND_LIMIT);
        let kib = kib(&message);
        let entering = async {
            let share = self.kib.clone().acquire_many_owned(kib).await;
            let place = door.sends.reserve().await;
            Ok((place.map_err(|_| Ended)?, share.map_err(|_| Ended)?))
        };
        match tokio::time::timeout_at(limit, entering).await {
            Ok(entered) => {
                let (place, share) = entered?;
                let held = Held::new(turn, context, submitted, share);
                place.send(Waiting { message, held });
                Ok(())
            }
            Err(_) => {
                let late = Settled::late(context, &turn, Instant::now());
                let answered = door.settling.send(Batch::of_answers(vec![late])).await;
                answered.map_err(|_| Ended)
            }
        }
    }

    /// Submits a message without waiting.
    ///
    /// # Errors
    /// The message, when the queue is full.
    pub fn try_submit(&self, message: NewMessage, context: C) -> Result<(), (NewMessage, C)> {
        let Ok(share) = self.kib.clone().try_acquire_many_owned(kib(&message)) else {
            return Err((message, context));
        };
        let door = self.door(message.conversation);
        let Ok(place) = door.sends.try_reserve() else {
            return Err((message, context));
        };
        let held = Held::new(Turn::next(&message), context, Instant::now(), share);
        place.send(Waiting { message, held });
        Ok(())
    }

    fn door(&self, conversation: ConversationId) -> &Door<C> {
        // Ids are allocated in blocks: neighbours go to different lanes.
        let at = conversation.get().unsigned_abs() % self.doors.len() as u64;
        &self.doors[at as usize]
    }

    /// Accepts no more sends and waits until all submitted ones are settled. Other clones must have been dropped.
    pub async fn end(self) {
        let Self { doors, settlers, .. } = self;
        drop(doors);
        let settlers = std::mem::take(&mut *settlers.lock());
        for settler in settlers {
            // It ends after its lane, or by a panic, which ends the process.
            let _ = settler.await;
        }
    }
}

impl<C: Send + 'static> Door<C> {
    /// Starts one of `lanes`; half of its sends wait in the channel, half in the writer's queue.
    fn open(name: Name, writer: impl Writer<C>, lanes: usize, settling: mpsc::Sender<Batch<C>>) -> Self {
        let capacity = WAITING_SENDS / lanes / 2;
        let (sends, waiting) = mpsc::channel(capacity);
        let lane = Lane::new(writer, capacity, settling.clone());
        task::vital(name, lane.run(waiting));
        Self { sends, settling }
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

async fn settle_batches<C: Send>(
    mut settled: mpsc::Receiver<Batch<C>>,
    outlet: Arc<impl Outlet<C>>,
) -> Stopped {
    while let Some(Batch { answers, entries }) = settled.recv().await {
        let started = Instant::now();
        outlet
            .settle(answers, entries.into_iter().map(Published::new).collect())
            .await;
        events::SETTLE_S.record(started.elapsed().as_secs_f64());
    }
    Stopped
}

/// The entry of an accepted message.
fn entry(message: NewMessage, seq: Seq, created_ms: i64) -> Entry {
    Entry {
        conversation: message.conversation,
        seq,
        sender: message.sender,
        kind: wire::EntryKind::Message,
        created_ms,
        client_msg_id: message.client_msg_id,
        mime_type: message.mime_type,
        body: message.body,
        reply_to_seq: message.reply_to_seq,
        corrects_seq: message.corrects_seq,
        mentions: message.mentions,
        event: None,
        recalled: false,
    }
}

/// The checksum of a new message, as its columns will hold it.
fn checksum_of_message(message: &NewMessage, seq: Seq, created_ms: i64, extra: Option<&[u8]>) -> i64 {
    database::checksum([
        Part::Integer(message.conversation.get()),
        Part::Integer(seq.get()),
        Part::Integer(message.sender.get()),
        Part::Integer(i64::from(wire::EntryKind::Message as i32)),
        Part::Integer(created_ms),
        Part::Text(message.client_msg_id.as_bytes()),
        Part::Text(message.mime_type.as_bytes()),
        Part::Bytes(&message.body),
        Part::Integer(message.reply_to_seq.get()),
        Part::Integer(message.corrects_seq.get()),
        extra.into(),
    ])
}

/// The clock that stamps messages, epoch milliseconds. Their age is measured by it alone.
pub fn now_ms() -> i64 {
    let since_epoch = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
