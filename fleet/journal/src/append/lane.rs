//! One lane on PostgreSQL: batches one after another on a connection of its own, and an answer in time whatever becomes
//! of that connection.
//!
//! A batch is never given up: it runs to its end in the background, also when its senders have been told that it took too
//! long, for on a server that hangs it may still be committed. What must be tried again (a conversation that moved, a
//! connection that broke) goes back to the head of the queue, and is looked up before it is written.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use database::{Error as DatabaseError, postgres::Postgres};
use tokio::{sync::mpsc, time::MissedTickBehavior};

use super::{
    Batch, LANES, Settled, WAITING_SENDS, Waiting,
    cache::Cache,
    entry, now_ms,
    postgres::{Attempt, Done, Link, Trouble, Verdict},
    queue::{Held, Queue, Taken},
};
use crate::Error;

/// Sends of this lane that wait, beside those in its channel.
const QUEUED_SENDS: usize = WAITING_SENDS / LANES / 2;
/// How often to look for sends that have waited for too long.
const TICK: Duration = Duration::from_millis(100);
/// How long to wait before a lost connection is made anew, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// After a resend was found by the unique key only, so many batches look for resends before they write: after a hiccup of
/// the network many apps send again.
const WARY_BATCHES: u32 = 64;

pub(super) struct Lane<C> {
    cache: Arc<Cache>,
    settling: mpsc::Sender<Batch<C>>,
    queue: Queue<C>,
    /// None while a batch has it.
    link: Option<Link>,
    running: Option<Running<C>>,
    /// Not to be tried before.
    pause: Option<Pause>,
    /// Whether there was no connection when it was tried last.
    away: bool,
    wary: u32,
}

struct Running<C> {
    work: Pin<Box<dyn Future<Output = Done> + Send>>,
    held: Vec<Held<C>>,
    started: Instant,
}

#[derive(Clone, Copy)]
struct Pause {
    until: Instant,
    length: Duration,
}

impl<C: Send + 'static> Lane<C> {
    pub(super) fn new(cache: Arc<Cache>, postgres: Postgres, settling: mpsc::Sender<Batch<C>>) -> Self {
        Self {
            cache,
            settling,
            queue: Queue::new(),
            link: Some(Link::new(postgres)),
            running: None,
            pause: None,
            away: false,
            wary: 0,
        }
    }

    pub(super) async fn run(mut self, mut waiting: mpsc::Receiver<Waiting<C>>) {
        let mut arrivals = Vec::new();
        let mut is_open = true;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let refused = self.start_batch();
            if !refused.is_empty() {
                let batch = Batch {
                    answers: refused,
                    entries: Vec::new(),
                };
                if self.send(batch).await.is_err() {
                    return;
                }
                continue;
            }
            // What nobody waits for any more is not waited for.
            let is_waited_for = self
                .running
                .as_ref()
                .is_some_and(|running| running.held.iter().any(|held| held.context.is_some()));
            if !is_open && self.queue.is_empty() && !is_waited_for {
                return;
            }
            let room = QUEUED_SENDS.saturating_sub(self.queue.len());
            let wake = self.pause.map_or(Instant::now(), |pause| pause.until);
            let is_paused = self.running.is_none() && !self.queue.is_empty() && wake > Instant::now();
            let is_busy = self.running.is_some() || !self.queue.is_empty();
            tokio::select! {
                biased;
                done = finish(&mut self.running) => {
                    if self.settle(done).await.is_err() {
                        return;
                    }
                }
                count = waiting.recv_many(&mut arrivals, room), if is_open && room > 0 => {
                    is_open = count > 0;
                    arrivals.drain(..).for_each(|arrival| self.queue.push(arrival));
                }
                _ = tick.tick(), if is_busy => {
                    if self.expire().await.is_err() {
                        return;
                    }
                }
                () = tokio::time::sleep_until(wake.into()), if is_paused => {}
            }
        }
    }

    /// Starts the next batch when none runs. Gives the sends that are refused instead, since they are behind a refused one.
    fn start_batch(&mut self) -> Vec<Settled<C>> {
        let now = Instant::now();
        if self.running.is_some() || self.pause.is_some_and(|pause| pause.until > now) {
            return Vec::new();
        }
        let Some(link) = self.link.take() else {
            return Vec::new();
        };
        let Some(Taken {
            mut jobs,
            held,
            refused,
            probe,
        }) = self.queue.take(now)
        else {
            self.link = Some(link);
            return Vec::new();
        };
        if jobs.is_empty() {
            self.link = Some(link);
            return refused;
        }
        metrics::histogram!("huizhen_journal_batch_sends").record(jobs.len() as f64);
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
        self.running = Some(Running {
            work: Box::pin(attempt.run(link)),
            held,
            started: now,
        });
        refused
    }

    async fn settle(&mut self, (done, held, started): (Done, Vec<Held<C>>, Instant)) -> Result<(), Gone> {
        metrics::histogram!("huizhen_journal_commit_seconds").record(started.elapsed().as_secs_f64());
        let Done {
            link,
            jobs,
            verdicts,
            trouble,
        } = done;
        self.link = Some(link);
        self.take_note(&trouble, &held);
        let refusal = match &trouble {
            Some(Trouble::Refused(told)) if is_one(&held) => Some(told.clone()),
            _ => None,
        };
        let mut batch = Batch {
            answers: Vec::with_capacity(jobs.len()),
            entries: Vec::new(),
        };
        let now = Instant::now();
        let mut again = Vec::new();
        for ((job, mut held), verdict) in jobs.into_iter().zip(held).zip(verdicts) {
            let outcome = match (verdict, &refusal) {
                (Verdict::Again, Some(told)) => Err(Error::Database(DatabaseError::Engine(told.clone()))),
                (Verdict::Again, None) => {
                    // Whoever was answered sends it again themselves.
                    if held.context.is_some() {
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
            if let Some(context) = held.context.take() {
                batch
                    .answers
                    .push(Settled::new(context, &held.turn, outcome, now));
            }
        }
        self.queue.put_back(again);
        self.send(batch).await
    }

    /// What trouble means for the next batches.
    fn take_note(&mut self, trouble: &Option<Trouble>, held: &[Held<C>]) {
        let now = Instant::now();
        match trouble {
            None => {
                self.pause = None;
                self.report(Ok(()));
                if std::mem::take(&mut self.away) {
                    tracing::debug!("messages are appended again");
                }
                if is_one(held)
                    && let Some(held) = held.first()
                {
                    self.queue.go_on(held.conversation());
                }
            }
            Some(Trouble::Resent) => self.wary = WARY_BATCHES,
            Some(Trouble::Contended) => {
                // Two that met would meet again in step.
                let length = FIRST_PAUSE / 4 * (1 + u32::try_from(held.len() % 4).unwrap_or(0));
                self.pause = Some(Pause {
                    until: now + length,
                    length: FIRST_PAUSE,
                });
            }
            Some(Trouble::Locked) => {
                metrics::counter!("huizhen_journal_locked_batches_total").increment(1);
                match held.first().filter(|_| is_one(held)) {
                    Some(held) => self.queue.pause(held.conversation(), now),
                    None => self.queue.set_apart(held.len()),
                }
            }
            Some(Trouble::Refused(told)) => {
                tracing::error!(told, sends = held.len(), "a batch of messages was refused");
                self.queue.set_apart(held.len());
            }
            Some(Trouble::Away(error)) => {
                // The database's own line is one for all lanes.
                self.report(Err(error));
                if !std::mem::replace(&mut self.away, true) {
                    tracing::debug!(%error, "messages cannot be appended; trying again");
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

    fn report(&self, outcome: Result<(), &DatabaseError>) {
        if let Some(link) = &self.link {
            link.report(outcome);
        }
    }

    /// Answers those that have waited for too long. Their messages may still be written; a resend tells.
    async fn expire(&mut self) -> Result<(), Gone> {
        let now = Instant::now();
        let mut expired = self.queue.expire(now);
        if let Some(running) = &mut self.running {
            expired.extend(running.held.iter_mut().filter_map(|held| held.expire(now)));
        }
        if expired.is_empty() {
            return Ok(());
        }
        metrics::counter!("huizhen_journal_late_sends_total").increment(expired.len() as u64);
        let batch = Batch {
            answers: expired,
            entries: Vec::new(),
        };
        self.send(batch).await
    }

    async fn send(&mut self, batch: Batch<C>) -> Result<(), Gone> {
        if batch.answers.is_empty() && batch.entries.is_empty() {
            return Ok(());
        }
        self.settling.send(batch).await.map_err(|_| Gone)
    }
}

/// Nobody takes what was decided.
struct Gone;

/// Waits for the batch that runs, for ever when there is none. Dropped meanwhile, the batch goes on.
async fn finish<C>(running: &mut Option<Running<C>>) -> (Done, Vec<Held<C>>, Instant) {
    let done = match running {
        Some(running) => running.work.as_mut().await,
        None => std::future::pending().await,
    };
    match running.take() {
        Some(Running { held, started, .. }) => (done, held, started),
        None => std::future::pending().await,
    }
}

fn is_one<C>(held: &[Held<C>]) -> bool {
    held.windows(2)
        .all(|pair| pair[0].conversation() == pair[1].conversation())
}
