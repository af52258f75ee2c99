//! Appending on PostgreSQL: each lane writes its batches on a connection of its own.
//!
//! Sends to be retried (a stale version, a broken connection) return to the head of the queue. A retry looks up its
//! client_msg_ids before it writes.

mod attempt;
mod call;
mod correction;
mod fate;
mod link;
mod media;
mod queue;
mod worker;
mod write;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use database::{Error as DatabaseError, postgres::Postgres};
use telemetry::events::journal::Event;

pub(crate) use self::link::{STATEMENTS, STATEMENTS_OF_MACHINES};
use self::{
    attempt::{Attempt, Done, Verdict},
    fate::Trouble,
    link::Link,
    queue::{Queue, Taken},
};
use super::{
    Batch, Settled,
    deadline::{Held, Started, Waiting, Writer},
    entry,
    known::{Cache, Known},
    now_ms,
};
use crate::Error;

/// The pause before a lost connection is opened again, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// The number of batches that look up their sends first, after the unique key found a resend: many apps resend after a
/// hiccup of the network.
const WARY_BATCHES: u32 = 64;

/// The queue and the connection of one lane.
pub(super) struct BatchWriter<C> {
    cache: Arc<Cache<Known>>,
    queue: Queue<C>,
    /// `None` while a batch uses it.
    link: Option<Link>,
    pause: Option<Pause>,
    /// Whether the last attempt found no connection.
    away: bool,
    wary: u32,
}

#[derive(Clone, Copy)]
struct Pause {
    until: Instant,
    length: Duration,
}

impl<C> BatchWriter<C> {
    pub(super) fn new(postgres: Postgres, cache: Arc<Cache<Known>>, checks_media: bool) -> Self {
        Self {
            cache,
            queue: Queue::new(checks_media, postgres.is_distributed()),
            link: Some(Link::new(postgres)),
            pause: None,
            away: false,
            wary: 0,
        }
    }
}

impl<C: Send + 'static> Writer<C> for BatchWriter<C> {
    type Done = Done;

    fn enqueue(&mut self, waiting: Waiting<C>) {
        self.queue.push(waiting);
    }

    fn queued(&self) -> usize {
        self.queue.len()
    }

    fn expire(&mut self, now: Instant) -> Vec<Settled<C>> {
        self.queue.expire(now)
    }

    fn start(&mut self, now: Instant) -> Started<C, Done> {
        if self.pause.is_some_and(|pause| pause.until > now) {
            return Started::nothing();
        }
        let Some(Taken {
            mut jobs,
            held,
            refused,
            probe,
        }) = self.queue.take(now)
        else {
            return Started::nothing();
        };
        let link = if jobs.is_empty() { None } else { self.link.take() };
        let running = link.map(|link| {
            if self.wary > 0 {
                self.wary -= 1;
                jobs.iter_mut().for_each(|job| job.look = true);
            }
            let attempt = Attempt {
                cache: self.cache.clone(),
                jobs,
                probe,
                now_ms: now_ms(),
            };
            (Box::pin(attempt.run(link)) as _, held)
        });
        Started { refused, running }
    }

    fn paused_until(&self) -> Option<Instant> {
        self.pause.map(|pause| pause.until)
    }

    fn finish(&mut self, done: Done, held: Vec<Held<C>>) -> Batch<C> {
        let Done {
            link,
            jobs,
            verdicts,
            trouble,
            is_direct,
        } = done;
        // A machine past the coordinator says nothing of the database as a whole.
        if trouble.is_none() && !is_direct {
            link.report(Ok(()));
        }
        self.handle(&link, &trouble, &held);
        self.link = Some(link);
        let refusal = match &trouble {
            Some(Trouble::Refused(reason)) if is_one(&held) => Some(reason.clone()),
            _ => None,
        };
        let mut batch = Batch::of_answers(Vec::with_capacity(jobs.len()));
        let now = Instant::now();
        let mut again = Vec::new();
        for ((job, held), verdict) in jobs.into_iter().zip(held).zip(verdicts) {
            let outcome = match (verdict, &refusal) {
                (Verdict::Again, Some(reason)) => Err(Error::Database(DatabaseError::Engine(reason.clone()))),
                (Verdict::Again, None) => {
                    // A sender who was answered resends.
                    if held.is_awaited() {
                        again.push((job, held));
                    }
                    continue;
                }
                (Verdict::Refused(error), _) => Err(error),
                (Verdict::Answered(accepted), _) => Ok(accepted),
                (Verdict::Added(accepted) | Verdict::Recovered(accepted), _) => {
                    batch
                        .entries
                        .push(entry(job.message, accepted.seq, accepted.created_ms));
                    Ok(accepted)
                }
            };
            batch.answers.extend(held.settle(outcome, now));
        }
        self.queue.put_back(again);
        batch
    }
}

impl<C> BatchWriter<C> {
    /// Adapts the next batches to the trouble of this one.
    fn handle(&mut self, link: &Link, trouble: &Option<Trouble>, held: &[Held<C>]) {
        let now = Instant::now();
        match trouble {
            None => {
                self.pause = None;
                if std::mem::take(&mut self.away) {
                    Event::BatchesResumed.emit();
                }
                if is_one(held)
                    && let Some(held) = held.first()
                {
                    self.queue.resume(held.conversation());
                }
            }
            Some(Trouble::Resent) => self.wary = WARY_BATCHES,
            Some(Trouble::Contended) => {
                // Uneven pauses, so that two batches that met do not meet again.
                let length = FIRST_PAUSE / 4 * (1 + u32::try_from(held.len() % 4).unwrap_or(0));
                self.pause = Some(Pause {
                    until: now + length,
                    length: FIRST_PAUSE,
                });
            }
            Some(Trouble::Locked) => {
                Event::LockedBatch.emit();
                match held.first().filter(|_| is_one(held)) {
                    Some(held) => self.queue.pause(held.conversation(), now),
                    None => self.queue.set_apart(held.len()),
                }
            }
            Some(Trouble::Refused(reason)) => {
                let (sends, error) = (held.len(), reason);
                Event::FailedBatch { sends, error }.emit();
                self.queue.set_apart(held.len());
            }
            Some(Trouble::MachineAway(error)) => {
                let sends = held.len();
                Event::BatchInOutage { sends, error }.emit();
                if let Some(held) = held.first() {
                    self.queue.pause(held.conversation(), now);
                }
            }
            Some(Trouble::Away(error)) => {
                // The database logs an outage once for all lanes.
                link.report(Err(error));
                if !std::mem::replace(&mut self.away, true) {
                    let sends = held.len();
                    Event::BatchInOutage { sends, error }.emit();
                }
                let length = self
                    .pause
                    .map_or(FIRST_PAUSE, |pause| (pause.length * 2).min(LONGEST_PAUSE));
                self.pause = Some(Pause {
                    until: now + length,
                    length,
                });
            }
        }
    }
}

/// Whether all sends are to one conversation.
fn is_one<C>(held: &[Held<C>]) -> bool {
    held.windows(2)
        .all(|pair| pair[0].conversation() == pair[1].conversation())
}
