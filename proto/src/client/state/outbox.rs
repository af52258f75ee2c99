//! Messages without an acknowledgement. Pure.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use crate::wire::{self, client_frame};

/// How many messages wait for their acknowledgement at most; then the app waits in `send`.
pub(super) const CAPACITY: usize = 1024;
// protocol: "Keep at most a few dozen unanswered messages in flight"
/// The most messages in flight: more than a node accepts in a round trip, few enough that it answers the last one in
/// time though it accepts them by its rate, and that a resend after a lost connection is small.
pub(super) const MAX_IN_FLIGHT: usize = 32;

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Where it goes.
    pub conversation_id: i64,
    /// Unique for this sender in this conversation; a resend carries the same.
    pub client_msg_id: String,
    /// How to read `body`.
    pub mime_type: String,
    /// The content.
    pub body: Bytes,
    /// The participants that it mentions.
    pub mentions: Vec<i64>,
    /// The entry that this one answers; 0 for none.
    pub reply_to_seq: i64,
    /// An own message that it corrects, or 0.
    pub corrects_seq: i64,
}

#[derive(Debug)]
struct Pending {
    message: Outgoing,
    in_flight: Option<InFlight>,
    /// When it may be sent again, if the node refused it for now.
    put_off: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    request_id: u64,
    since: Duration,
}

/// Messages in the order in which the app sent them, from the first attempt to the acknowledgement.
///
/// Messages of one conversation are written in that order whatever a node refuses: one is sent only when all before it
/// are on their way, and one that was refused only when no later one is on its way any more.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pending: VecDeque<Pending>,
    in_flight: usize,
    /// Messages that were refused for now and not sent again yet.
    refused: usize,
    /// Nothing is sent before: the node asked the whole session for a pause.
    hold_until: Duration,
    /// When a message was answered last.
    last_answer: Duration,
}

impl Outbox {
    pub(super) fn has_capacity(&self) -> bool {
        self.pending.len() < CAPACITY
    }

    pub(super) fn push(&mut self, message: Outgoing) {
        self.pending.push_back(Pending {
            message,
            in_flight: None,
            put_off: None,
        });
    }

    /// The messages that are due, each under the number that `next` makes.
    pub(super) fn due(&mut self, now: Duration, mut next: impl FnMut() -> u64) -> Vec<wire::ClientFrame> {
        if now < self.hold_until || self.in_flight == self.pending.len() {
            return Vec::new();
        }
        let mut waiting = self.overtaken();
        let mut frames = Vec::new();
        for pending in self
            .pending
            .iter_mut()
            .filter(|pending| pending.in_flight.is_none())
        {
            if self.in_flight >= MAX_IN_FLIGHT {
                break;
            }
            let conversation = pending.message.conversation_id;
            if waiting.contains(&conversation) {
                continue;
            }
            if pending.put_off.is_some_and(|until| now < until) {
                waiting.insert(conversation);
                continue;
            }
            if pending.put_off.take().is_some() {
                self.refused -= 1;
            }
            let request_id = next();
            pending.in_flight = Some(InFlight {
                request_id,
                since: now,
            });
            self.in_flight += 1;
            frames.push(wire::ClientFrame {
                request_id,
                body: Some(client_frame::Body::Send(pending.message.to_wire())),
            });
        }
        frames
    }

    // protocol: "So resend in the order of the first attempts"
    /// Conversations in which a later message is on its way while an earlier one is not: its answer is awaited first.
    fn overtaken(&self) -> HashSet<i64> {
        if self.refused == 0 {
            return HashSet::new();
        }
        let (mut flying, mut overtaken) = (HashSet::new(), HashSet::new());
        for pending in self.pending.iter().rev() {
            let conversation = pending.message.conversation_id;
            if pending.in_flight.is_some() {
                flying.insert(conversation);
            } else if flying.contains(&conversation) {
                overtaken.insert(conversation);
            }
        }
        overtaken
    }

    /// Removes the message that was sent under `request_id`.
    pub(super) fn answered(&mut self, now: Duration, request_id: u64) -> Option<Outgoing> {
        let at = self.position(request_id)?;
        self.in_flight -= 1;
        self.last_answer = now;
        self.pending.remove(at).map(|pending| pending.message)
    }

    // protocol: "resend the same message after retry_after_ms"
    /// The message sent under `request_id` is to be sent again after `until`, and nothing later of its conversation
    /// before it; none when nothing was sent so.
    pub(super) fn put_off(&mut self, now: Duration, request_id: u64, until: Duration) -> Option<&Outgoing> {
        let at = self.position(request_id)?;
        self.in_flight -= 1;
        self.refused += 1;
        self.last_answer = now;
        self.pending[at].in_flight = None;
        self.pending[at].put_off = Some(until);
        Some(&self.pending[at].message)
    }

    /// Nothing is sent before `until`.
    pub(super) fn hold(&mut self, until: Duration) {
        self.hold_until = self.hold_until.max(until);
    }

    // protocol: "resend the same message under the same client_msg_id"
    // protocol: "After a login resend the outbox in order"
    /// The connection is gone: everything is to be sent again on the next one.
    pub(super) fn connection_lost(&mut self) {
        for pending in &mut self.pending {
            pending.in_flight = None;
            pending.put_off = None;
        }
        self.in_flight = 0;
        self.refused = 0;
        self.hold_until = Duration::ZERO;
        self.last_answer = Duration::ZERO;
    }

    /// Since when the next answer is awaited: a node that accepts messages by its rate answers one after another.
    pub(super) fn oldest(&self) -> Option<Duration> {
        if self.in_flight == 0 {
            return None;
        }
        let flights = self
            .pending
            .iter()
            .filter_map(|pending| Some(pending.in_flight?.since));
        flights.min().map(|since| since.max(self.last_answer))
    }

    /// When something held back may be sent.
    pub(super) fn release(&self) -> Option<Duration> {
        if self.in_flight >= MAX_IN_FLIGHT || self.in_flight == self.pending.len() {
            return None;
        }
        let mut waiting = self.overtaken();
        let mut earliest: Option<Duration> = None;
        for pending in self.pending.iter().filter(|pending| pending.in_flight.is_none()) {
            // The first one of each conversation decides.
            if self.refused > 0 && !waiting.insert(pending.message.conversation_id) {
                continue;
            }
            let at = self.hold_until.max(pending.put_off.unwrap_or_default());
            earliest = Some(earliest.map_or(at, |earliest| earliest.min(at)));
            if self.refused == 0 {
                break;
            }
        }
        earliest
    }

    fn position(&self, request_id: u64) -> Option<usize> {
        self.pending.iter().position(|pending| {
            pending
                .in_flight
                .is_some_and(|flight| flight.request_id == request_id)
        })
    }
}

impl Outgoing {
    fn to_wire(&self) -> wire::Send {
        wire::Send {
            conversation_id: self.conversation_id,
            client_msg_id: self.client_msg_id.clone(),
            mime_type: self.mime_type.clone(),
            body: self.body.clone(),
            mentions: self.mentions.clone(),
            reply_to_seq: self.reply_to_seq,
            corrects_seq: self.corrects_seq,
        }
    }
}
