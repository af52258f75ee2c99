//! A lane: one batch after another, and an answer within [`SEND_LIMIT`] of its submission for every send.
//!
//! A batch is never cancelled, and the next one starts after its end. When it hangs, its senders are answered, and so are
//! those who wait behind it; the batch runs on, since a disk or a server that hangs may still commit it. Its entries are
//! published then, and a resend is answered with the first one's seq (invariant I4).

use std::{
    collections::VecDeque,
    pin::Pin,
    time::{Duration, Instant},
};

use proto::ConversationId;
use telemetry::{events::journal as events, task::Stopped};
use tokio::{
    sync::{
        OwnedSemaphorePermit,
        mpsc::{self, error::TryRecvError},
    },
    time::MissedTickBehavior,
};

use super::{Accepted, Batch, NewMessage, Settled, stream::Turn};
use crate::Error;

/// How long a send may take, from submission to answer: the protocol promises 5 s, the rest is for the answer's way.
pub(super) const SEND_LIMIT: Duration = Duration::from_millis(4500);
/// How often a lane looks for sends beyond the limit.
const TICK: Duration = Duration::from_millis(100);

/// A submitted send.
pub(super) struct Waiting<C> {
    pub(super) message: NewMessage,
    pub(super) held: Held<C>,
}

/// The sender's side of a send.
pub(super) struct Held<C> {
    turn: Turn,
    /// `None` once it was answered.
    context: Option<C>,
    submitted: Instant,
    /// Its share of the memory for waiting sends.
    _share: OwnedSemaphorePermit,
}

impl<C> Held<C> {
    pub(super) fn new(turn: Turn, context: C, submitted: Instant, share: OwnedSemaphorePermit) -> Self {
        Self {
            turn,
            context: Some(context),
            submitted,
            _share: share,
        }
    }

    pub(super) fn conversation(&self) -> ConversationId {
        self.turn.conversation()
    }

    /// Whether the sender still waits for an answer.
    pub(super) fn is_awaited(&self) -> bool {
        self.context.is_some()
    }

    /// The answer, unless the sender was answered before.
    pub(super) fn settle(self, outcome: Result<Accepted, Error>, now: Instant) -> Option<Settled<C>> {
        Some(Settled::new(self.context?, &self.turn, outcome, now))
    }

    /// The answer to a send beyond the limit.
    fn expire(&mut self, now: Instant) -> Option<Settled<C>> {
        if now.duration_since(self.submitted) < SEND_LIMIT {
            return None;
        }
        let context = self.context.take()?;
        Some(Settled::late(context, &self.turn, now))
    }
}

/// Removes and answers the sends of a queue that are beyond the limit.
pub(super) fn expire<J, C>(sends: &mut VecDeque<(J, Held<C>)>, now: Instant) -> Vec<Settled<C>> {
    let expired: Vec<_> = sends
        .iter_mut()
        .filter_map(|(_, held)| held.expire(now))
        .collect();
    if !expired.is_empty() {
        sends.retain(|(_, held)| held.is_awaited());
    }
    expired
}

/// Removes and answers the sends of a batch that follow a refused one of their stream.
pub(super) fn refuse_out_of_turn<J, C>(sends: &mut Vec<(J, Held<C>)>, now: Instant) -> Vec<Settled<C>> {
    sends
        .extract_if(.., |(_, held)| !held.turn.passes(now))
        .filter_map(|(_, held)| Some(Settled::out_of_turn(held.context?, &held.turn, now)))
        .collect()
}

/// How an engine queues sends and writes batches.
pub(super) trait Writer<C>: Send + 'static {
    /// The result of a batch.
    type Done: Send + 'static;

    fn enqueue(&mut self, waiting: Waiting<C>);

    fn queued(&self) -> usize;

    /// Removes and answers the queued sends beyond the limit.
    fn expire(&mut self, now: Instant) -> Vec<Settled<C>>;

    /// Starts the next batch, if one may start now.
    fn start(&mut self, now: Instant) -> Started<C, Self::Done>;

    /// When the next batch may start; `None` for now.
    fn paused_until(&self) -> Option<Instant> {
        None
    }

    /// Evaluates a batch that has ended.
    fn finish(&mut self, done: Self::Done, held: Vec<Held<C>>) -> Batch<C>;

    /// The running batch has outlived the limit.
    fn overdue(&self) {}
}

/// A batch on its way. Dropping the future does not cancel the batch.
pub(super) type Work<D> = Pin<Box<dyn Future<Output = D> + Send>>;

pub(super) struct Started<C, D> {
    /// Sends that must wait for an earlier one of their stream.
    pub(super) refused: Vec<Settled<C>>,
    pub(super) running: Option<(Work<D>, Vec<Held<C>>)>,
}

impl<C, D> Started<C, D> {
    pub(super) fn nothing() -> Self {
        Self {
            refused: Vec::new(),
            running: None,
        }
    }
}

struct Running<C, D> {
    work: Work<D>,
    held: Vec<Held<C>>,
    started: Instant,
    is_overdue: bool,
}

pub(super) struct Lane<C, W: Writer<C>> {
    writer: W,
    /// The most sends in the writer's queue.
    capacity: usize,
    running: Option<Running<C, W::Done>>,
    settling: mpsc::Sender<Batch<C>>,
}

/// The outlet has ended.
struct Gone;

impl<C: Send + 'static, W: Writer<C>> Lane<C, W> {
    pub(super) fn new(writer: W, capacity: usize, settling: mpsc::Sender<Batch<C>>) -> Self {
        Self {
            writer,
            capacity,
            running: None,
            settling,
        }
    }

    /// Writes what arrives until the last sender is gone and the last sender of a batch is answered.
    pub(super) async fn run(mut self, waiting: mpsc::Receiver<Waiting<C>>) -> Stopped {
        // Without an outlet there is no sender to answer.
        let _ = self.write_batches(waiting).await;
        Stopped
    }

    async fn write_batches(&mut self, mut waiting: mpsc::Receiver<Waiting<C>>) -> Result<(), Gone> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_open = true;
        loop {
            if self.running.is_none() {
                is_open &= self.receive(&mut waiting);
                self.start().await?;
            }
            let is_idle = self.running.is_none();
            let has_queued = self.writer.queued() > 0;
            if !is_open && !has_queued && !self.is_awaited() {
                return Ok(());
            }
            let now = Instant::now();
            let wake = self.writer.paused_until().unwrap_or(now);
            tokio::select! {
                biased;
                (done, held) = finish(&mut self.running) => {
                    let batch = self.writer.finish(done, held);
                    self.settle(batch).await?;
                }
                // Arrivals during a batch stay in the channel: waking for each would cost every send a turn of this task.
                arrival = waiting.recv(), if is_open && is_idle && self.writer.queued() < self.capacity => {
                    match arrival {
                        Some(arrival) => self.writer.enqueue(arrival),
                        None => is_open = false,
                    }
                }
                _ = tick.tick(), if !is_idle || has_queued => {
                    is_open &= self.receive(&mut waiting);
                    self.expire().await?;
                }
                () = tokio::time::sleep_until(wake.into()), if is_idle && has_queued && wake > now => {}
            }
        }
    }

    /// Enqueues arrivals, up to the capacity. False when no more can arrive.
    fn receive(&mut self, waiting: &mut mpsc::Receiver<Waiting<C>>) -> bool {
        while self.writer.queued() < self.capacity {
            match waiting.try_recv() {
                Ok(arrival) => self.writer.enqueue(arrival),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
        true
    }

    async fn start(&mut self) -> Result<(), Gone> {
        while self.running.is_none() {
            let now = Instant::now();
            let Started { refused, running } = self.writer.start(now);
            self.running = running.map(|(work, held)| {
                events::BATCH_SENDS.record(held.len() as f64);
                Running {
                    work,
                    held,
                    started: now,
                    is_overdue: false,
                }
            });
            if refused.is_empty() {
                break;
            }
            self.settle(Batch::of_answers(refused)).await?;
        }
        Ok(())
    }

    fn is_awaited(&self) -> bool {
        let running = self.running.as_ref();
        running.is_some_and(|running| running.held.iter().any(Held::is_awaited))
    }

    /// Answers the sends beyond the limit, those of the running batch first: they are the earlier ones of their streams.
    async fn expire(&mut self) -> Result<(), Gone> {
        let now = Instant::now();
        let mut expired = Vec::new();
        if let Some(running) = &mut self.running {
            expired.extend(running.held.iter_mut().filter_map(|held| held.expire(now)));
            if !running.is_overdue && now.duration_since(running.started) >= SEND_LIMIT {
                running.is_overdue = true;
                self.writer.overdue();
            }
        }
        expired.extend(self.writer.expire(now));
        self.settle(Batch::of_answers(expired)).await
    }

    async fn settle(&mut self, batch: Batch<C>) -> Result<(), Gone> {
        if batch.is_empty() {
            return Ok(());
        }
        self.settling.send(batch).await.map_err(|_| Gone)
    }
}

/// Waits for the running batch; forever when none runs.
async fn finish<C, D>(running: &mut Option<Running<C, D>>) -> (D, Vec<Held<C>>) {
    let done = match running {
        Some(running) => running.work.as_mut().await,
        None => std::future::pending().await,
    };
    match running.take() {
        Some(Running { held, started, .. }) => {
            events::COMMIT_S.record(started.elapsed().as_secs_f64());
            (done, held)
        }
        None => std::future::pending().await,
    }
}
