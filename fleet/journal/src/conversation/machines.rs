//! The machines that have conversations (docs/decisions/0019-distributed.md): one that is away stops what lies there, and
//! nothing else.
//!
//! The map decides only what is asked together. A machine that did not answer is asked nothing for a while, since each
//! question would wait for its whole limit.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use database::{
    Engine, Error,
    postgres::{
        Postgres,
        citus::{Shards, Worker},
    },
};
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use proto::ConversationId;
use telemetry::events::journal::Event;
use tokio::time::timeout;

/// How long a map is used. A shard that moved meanwhile costs a statement of two machines.
const FRESH: Duration = Duration::from_secs(10);
/// How long nothing is asked of a machine that did not answer; doubled each time that its silence was waited for. Then one question
/// is let through, and the others when it is answered, or has waited for longer than an answer may take.
const AWAY: Duration = Duration::from_secs(1);
const LONGEST_AWAY: Duration = Duration::from_secs(16);
const ASKED: Duration = Duration::from_secs(5);
/// A failure that took longer was waited for.
const WAITED: Duration = Duration::from_secs(2);
/// Machines that are asked beside each other: a small part of the pool.
const BESIDE: usize = 4;
/// How long the map may take.
const MAP_LIMIT: Duration = Duration::from_millis(1500);

/// The machines behind a coordinator; a clone is another handle.
#[derive(Clone)]
pub(crate) struct Machines {
    postgres: Postgres,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    shards: Arc<Shards>,
    read: Option<Instant>,
    away: HashMap<Worker, Away>,
}

/// A machine that did not answer.
struct Away {
    until: Instant,
    lasts: Duration,
}

impl Machines {
    /// Where conversations lie on several machines.
    pub(crate) fn of(engine: &Engine) -> Option<Self> {
        let Engine::Postgres(postgres) = engine else {
            return None;
        };
        postgres.is_distributed().then(|| Self {
            postgres: postgres.clone(),
            known: Arc::default(),
        })
    }

    /// Reads the map again when it is outdated. A coordinator that is away leaves it as it is.
    pub(crate) async fn look(&self) {
        let now = Instant::now();
        {
            let mut known = self.known.lock();
            if known.read.is_some_and(|read| now.duration_since(read) < FRESH) {
                return;
            }
            known.read = Some(now);
        }
        if let Ok(Ok(shards)) = timeout(MAP_LIMIT, self.postgres.shards()).await {
            self.known.lock().shards = Arc::new(shards);
        }
    }

    /// Asks the machine of a conversation; `None` where it is away.
    ///
    /// # Errors
    /// As the question's, but for a machine that does not answer.
    pub(crate) async fn ask<T>(
        &self,
        conversation: ConversationId,
        question: impl Future<Output = Result<T, Error>>,
    ) -> Result<Option<T>, Error> {
        if !self.may_ask(conversation) {
            return Ok(None);
        }
        let asked = Instant::now();
        match question.await {
            Ok(answer) => {
                self.answered(conversation);
                Ok(Some(answer))
            }
            Err(error) if self.failed(conversation, &error, asked) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks each machine about the items of its conversations, machines beside each other, and waits for the slowest one. The
    /// answers lack those of machines that are away. An error of one machine leaves no question of another half done.
    ///
    /// # Errors
    /// As the questions'.
    pub(crate) async fn ask_each<I, T, F: Future<Output = Result<Vec<T>, Error>>>(
        &self,
        items: Vec<I>,
        conversation: impl Fn(&I) -> ConversationId,
        question: impl Fn(Vec<I>) -> F,
    ) -> Result<Vec<T>, Error> {
        self.look().await;
        let parts = self.part(items, &conversation).into_iter();
        let questions = parts.map(|part| self.ask(conversation(&part[0]), question(part)));
        let asked = stream::iter(questions.collect::<Vec<_>>()).buffer_unordered(BESIDE);
        let answers: Vec<Result<Option<Vec<T>>, Error>> = asked.collect().await;
        let mut all = Vec::new();
        for answer in answers {
            all.extend(answer?.into_iter().flatten());
        }
        Ok(all)
    }

    /// Whether the machine of a conversation may be asked now.
    fn may_ask(&self, conversation: ConversationId) -> bool {
        let mut known = self.known.lock();
        let worker = known.worker_of(conversation);
        known.may_ask(worker.as_ref(), Instant::now())
    }

    /// Notes that the machine of a conversation answered.
    fn answered(&self, conversation: ConversationId) {
        let mut known = self.known.lock();
        if !known.away.is_empty()
            && let Some(worker) = known.worker_of(conversation)
        {
            known.away.remove(&worker);
        }
    }

    /// Notes that the machine of a conversation, which was asked then, did not answer. False where the failure is another one, or
    /// the coordinator's.
    fn failed(&self, conversation: ConversationId, error: &Error, asked: Instant) -> bool {
        if !matches!(error, Error::Machine(_)) {
            return false;
        }
        let mut known = self.known.lock();
        let Some(worker) = known.worker_of(conversation) else {
            return false;
        };
        let (host, port) = (worker.host.as_str(), worker.port);
        Event::MachineAway { host, port, error }.emit();
        let now = Instant::now();
        let before = known.away.get(&worker).map(|away| away.lasts);
        let lasts = match before {
            Some(lasts) if now.duration_since(asked) > WAITED => (lasts * 2).min(LONGEST_AWAY),
            before => before.unwrap_or(AWAY),
        };
        let until = now + lasts;
        known.away.insert(worker, Away { until, lasts });
        true
    }

    /// Items by the machines of their conversations; no part is empty.
    fn part<I>(&self, items: Vec<I>, conversation: impl Fn(&I) -> ConversationId) -> Vec<Vec<I>> {
        let known = self.known.lock();
        let mut parts: HashMap<Option<Worker>, Vec<I>> = HashMap::new();
        for item in items {
            let worker = known.worker_of(conversation(&item));
            parts.entry(worker).or_default().push(item);
        }
        parts.into_values().collect()
    }
}

impl Known {
    fn worker_of(&self, conversation: ConversationId) -> Option<Worker> {
        self.shards.worker_of(conversation.get()).cloned()
    }

    /// The one who may ask a machine that was away keeps the others from it until it answers.
    fn may_ask(&mut self, worker: Option<&Worker>, now: Instant) -> bool {
        let Some(away) = worker.and_then(|worker| self.away.get_mut(worker)) else {
            return true;
        };
        let may_ask = away.until <= now;
        if may_ask {
            away.until = now + ASKED;
        }
        may_ask
    }
}
