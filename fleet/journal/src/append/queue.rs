//! The sends of one lane, in order: which go into the next batch, and which have waited for too long.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use proto::{ConversationId, Seq};
use tokio::sync::OwnedSemaphorePermit;

use super::{BATCH_SENDS, NewMessage, SEND_LIMIT, Settled, Waiting, order::Turn};

/// How long a conversation that somebody else holds is left alone before it is tried again; twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A send to be written.
pub(super) struct Job {
    pub(super) message: NewMessage,
    /// Whether to look for an earlier one with its client_msg_id before it is written.
    pub(super) look: bool,
    /// From which seq on an entry with its client_msg_id is its own, written by a commit whose answer was lost; below it
    /// is an earlier one's.
    pub(super) uncertain_from: Option<Seq>,
}

/// Who waits for it.
pub(super) struct Held<C> {
    pub(super) turn: Turn,
    /// None once it was answered.
    pub(super) context: Option<C>,
    pub(super) since: Instant,
    _share: OwnedSemaphorePermit,
}

impl<C> Held<C> {
    pub(super) fn conversation(&self) -> ConversationId {
        self.turn.conversation()
    }

    /// The answer that it took too long, when it is time for that.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Settled<C>> {
        if now.duration_since(self.since) < SEND_LIMIT {
            return None;
        }
        let context = self.context.take()?;
        Some(Settled::late(context, &self.turn, now))
    }
}

/// What the next batch is.
pub(super) struct Taken<C> {
    pub(super) jobs: Vec<Job>,
    pub(super) held: Vec<Held<C>>,
    /// Sends behind a refused one, which are refused as well.
    pub(super) refused: Vec<Settled<C>>,
    /// A single conversation that may be held by somebody: do not wait for it.
    pub(super) probe: bool,
}

/// How long to leave a conversation alone.
#[derive(Clone, Copy)]
struct Pause {
    until: Instant,
    length: Duration,
}

pub(super) struct Queue<C> {
    sends: VecDeque<(Job, Held<C>)>,
    /// Conversations whose row somebody else holds: nobody waits behind them.
    paused: HashMap<ConversationId, Pause>,
    /// Sends that go one conversation at a time, since one among them spoiled a batch.
    apart: usize,
}

impl<C> Queue<C> {
    pub(super) fn new() -> Self {
        Self {
            sends: VecDeque::new(),
            paused: HashMap::new(),
            apart: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.sends.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sends.is_empty()
    }

    pub(super) fn push(&mut self, waiting: Waiting<C>) {
        let held = Held {
            turn: waiting.turn,
            context: Some(waiting.context),
            since: waiting.since,
            _share: waiting.share,
        };
        let job = Job {
            message: waiting.message,
            look: false,
            uncertain_from: None,
        };
        self.sends.push_back((job, held));
    }

    /// Puts sends back that must be tried again, in order and before everything that came later.
    pub(super) fn put_back(&mut self, sends: Vec<(Job, Held<C>)>) {
        for send in sends.into_iter().rev() {
            self.sends.push_front(send);
        }
    }

    /// The next so many sends go one conversation at a time.
    pub(super) fn set_apart(&mut self, sends: usize) {
        self.apart = sends;
    }

    /// Somebody holds a conversation.
    pub(super) fn pause(&mut self, conversation: ConversationId, now: Instant) {
        let length = self
            .paused
            .get(&conversation)
            .map_or(FIRST_PAUSE, |pause| (pause.length * 2).min(LONGEST_PAUSE));
        let until = now + length;
        self.paused.insert(conversation, Pause { until, length });
    }

    /// Nobody holds it any more.
    pub(super) fn go_on(&mut self, conversation: ConversationId) {
        if !self.paused.is_empty() {
            self.paused.remove(&conversation);
        }
    }

    /// Takes the sends of the next batch; none when all of them have to wait.
    pub(super) fn take(&mut self, now: Instant) -> Option<Taken<C>> {
        let single = self.due(now).or_else(|| {
            let first = |sends: &VecDeque<(Job, Held<C>)>| {
                let mut free = sends.iter().map(|(_, held)| held.conversation());
                free.find(|conversation| !self.paused.contains_key(conversation))
            };
            (self.apart > 0).then(|| first(&self.sends)).flatten()
        });
        let mut taken = match single {
            Some(conversation) => self.extract(|other| other == conversation),
            None if self.paused.is_empty() => {
                let count = self.sends.len().min(BATCH_SENDS);
                self.sends.drain(..count).collect()
            }
            None => {
                let paused = std::mem::take(&mut self.paused);
                let taken = self.extract(|other| !paused.contains_key(&other));
                self.paused = paused;
                taken
            }
        };
        self.apart = if single.is_some() {
            self.apart.saturating_sub(taken.len())
        } else {
            0
        };
        if taken.is_empty() {
            return None;
        }
        let refused = taken
            .extract_if(.., |(_, held)| !held.turn.passes(now))
            .filter_map(|(_, held)| Some(Settled::out_of_turn(held.context?, &held.turn, now)))
            .collect();
        let (jobs, held) = taken.into_iter().unzip();
        Some(Taken {
            jobs,
            held,
            refused,
            probe: single.is_some(),
        })
    }

    /// A paused conversation whose pause is over. One that nobody sends to any more is forgotten.
    fn due(&mut self, now: Instant) -> Option<ConversationId> {
        let over: Vec<ConversationId> = self
            .paused
            .iter()
            .filter(|(_, pause)| pause.until <= now)
            .map(|(conversation, _)| *conversation)
            .collect();
        for conversation in over {
            if self
                .sends
                .iter()
                .any(|(_, held)| held.conversation() == conversation)
            {
                return Some(conversation);
            }
            self.paused.remove(&conversation);
        }
        None
    }

    fn extract(&mut self, wanted: impl Fn(ConversationId) -> bool) -> Vec<(Job, Held<C>)> {
        let mut taken = Vec::new();
        let mut left = VecDeque::with_capacity(self.sends.len());
        for send in self.sends.drain(..) {
            if taken.len() < BATCH_SENDS && wanted(send.1.conversation()) {
                taken.push(send);
            } else {
                left.push_back(send);
            }
        }
        self.sends = left;
        taken
    }

    /// Takes out those that have waited for too long.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Settled<C>> {
        let sends = self.sends.iter_mut();
        let expired: Vec<_> = sends.filter_map(|(_, held)| held.expire(now)).collect();
        if !expired.is_empty() {
            self.sends.retain(|(_, held)| held.context.is_some());
        }
        expired
    }
}
