//! The sends of one lane, in order, and the choice of the next batch.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use proto::{ConversationId, Seq};

use super::super::{
    BATCH_SENDS, NewMessage, Settled,
    deadline::{self, Held, Waiting},
};
use crate::media::{self, Named};

/// How long a conversation whose row is locked is paused; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A send to write.
pub(super) struct Job {
    pub(super) message: NewMessage,
    /// The media that it names; none where media are not checked.
    pub(super) named: Vec<Named>,
    /// Whether to look up its client_msg_id before it is written.
    pub(super) look: bool,
    /// An entry with its client_msg_id at this seq or later is its own, written by a commit whose answer was lost; an earlier
    /// one makes it a resend.
    pub(super) uncertain_from: Option<Seq>,
}

/// The next batch.
pub(super) struct Taken<C> {
    pub(super) jobs: Vec<Job>,
    pub(super) held: Vec<Held<C>>,
    /// Sends that must wait for an earlier one of their stream.
    pub(super) refused: Vec<Settled<C>>,
    /// Whether it is one conversation whose row may be locked: do not wait for it.
    pub(super) probe: bool,
}

#[derive(Clone, Copy)]
struct Pause {
    until: Instant,
    length: Duration,
}

pub(super) struct Queue<C> {
    sends: VecDeque<(Job, Held<C>)>,
    checks_media: bool,
    /// Conversations whose rows are locked; the others do not wait for them.
    paused: HashMap<ConversationId, Pause>,
    /// Sends that are written one conversation at a time, since one of them made a batch fail.
    apart: usize,
    /// Whether each batch is of one conversation.
    is_single: bool,
}

impl<C> Queue<C> {
    pub(super) fn new(checks_media: bool, is_single: bool) -> Self {
        Self {
            sends: VecDeque::new(),
            checks_media,
            paused: HashMap::new(),
            apart: 0,
            is_single,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.sends.len()
    }

    pub(super) fn push(&mut self, waiting: Waiting<C>) {
        let message = waiting.message;
        let named = match self.checks_media {
            true => media::named(&message.mime_type, &message.body),
            false => Vec::new(),
        };
        let job = Job {
            message,
            named,
            look: false,
            uncertain_from: None,
        };
        self.sends.push_back((job, waiting.held));
    }

    /// Returns sends to the head of the queue, for a retry.
    pub(super) fn put_back(&mut self, sends: Vec<(Job, Held<C>)>) {
        for send in sends.into_iter().rev() {
            self.sends.push_front(send);
        }
    }

    /// Writes the next sends one conversation at a time.
    pub(super) fn set_apart(&mut self, sends: usize) {
        self.apart = sends;
    }

    /// A conversation's row is locked.
    pub(super) fn pause(&mut self, conversation: ConversationId, now: Instant) {
        let length = self
            .paused
            .get(&conversation)
            .map_or(FIRST_PAUSE, |pause| (pause.length * 2).min(LONGEST_PAUSE));
        let until = now + length;
        self.paused.insert(conversation, Pause { until, length });
    }

    /// A conversation's row was written.
    pub(super) fn resume(&mut self, conversation: ConversationId) {
        if !self.paused.is_empty() {
            self.paused.remove(&conversation);
        }
    }

    /// Removes the sends of the next batch; `None` when all of them are paused.
    pub(super) fn take(&mut self, now: Instant) -> Option<Taken<C>> {
        let probed = self
            .due(now)
            .or_else(|| (self.apart > 0).then(|| self.first()).flatten());
        let single = probed.or_else(|| self.is_single.then(|| self.first()).flatten());
        let mut taken = match single {
            Some(conversation) => self.extract(|other| other == conversation),
            // All of them are paused.
            None if self.is_single => Vec::new(),
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
        self.apart = if probed.is_some() {
            self.apart.saturating_sub(taken.len())
        } else {
            0
        };
        if taken.is_empty() {
            return None;
        }
        let refused = deadline::refuse_out_of_turn(&mut taken, now);
        let (jobs, held) = taken.into_iter().unzip();
        Some(Taken {
            jobs,
            held,
            refused,
            probe: probed.is_some(),
        })
    }

    /// The conversation of the first send that is not paused.
    fn first(&self) -> Option<ConversationId> {
        let mut sends = self.sends.iter().map(|(_, held)| held.conversation());
        sends.find(|conversation| !self.paused.contains_key(conversation))
    }

    /// A conversation whose pause is over. Pauses of conversations without sends are dropped.
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

    /// Removes and answers the sends beyond the limit.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Settled<C>> {
        deadline::expire(&mut self.sends, now)
    }
}
