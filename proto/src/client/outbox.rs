//! What was sent and is not acknowledged yet. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::wire::{self, client_frame};

/// How many messages wait for their acknowledgement at most; then the app waits in `send`.
pub(super) const CAPACITY: usize = 1024;
/// How many of them are on their way at once: enough to keep a node busy, few enough that a resend after a lost
/// connection is small.
pub(super) const MAX_IN_FLIGHT: usize = 256;

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Where it goes.
    pub conversation_id: i64,
    /// Unique for this sender in this conversation; a resend carries the same.
    pub client_msg_id: String,
    /// How to read `body`.
    pub mime_type: String,
    /// What is said.
    pub body: Bytes,
    /// People called by name.
    pub mentions: Vec<i64>,
    /// The entry that this one answers; 0 for none.
    pub reply_to_seq: i64,
}

#[derive(Debug)]
struct Pending {
    message: Outgoing,
    in_flight: Option<InFlight>,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    request_id: u64,
    since: Duration,
}

/// Messages in the order in which the app sent them, from the first attempt to the acknowledgement.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pending: VecDeque<Pending>,
    in_flight: usize,
    /// Nothing is sent before: the node asked for a pause. Everything waits, so that the order is kept.
    hold_until: Duration,
}

impl Outbox {
    pub(super) fn has_room(&self) -> bool {
        self.pending.len() < CAPACITY
    }

    pub(super) fn push(&mut self, message: Outgoing) {
        self.pending.push_back(Pending {
            message,
            in_flight: None,
        });
    }

    /// What is to be sent now, each under the number that `next` makes.
    pub(super) fn due(&mut self, now: Duration, mut next: impl FnMut() -> u64) -> Vec<wire::ClientFrame> {
        if now < self.hold_until || self.in_flight == self.pending.len() {
            return Vec::new();
        }
        let mut frames = Vec::new();
        for pending in self
            .pending
            .iter_mut()
            .filter(|pending| pending.in_flight.is_none())
        {
            if self.in_flight >= MAX_IN_FLIGHT {
                break;
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

    /// Takes out the message that was sent under `request_id`.
    pub(super) fn answered(&mut self, request_id: u64) -> Option<Outgoing> {
        let at = self.position(request_id)?;
        self.in_flight -= 1;
        self.pending.remove(at).map(|pending| pending.message)
    }

    /// The message sent under `request_id` is to be sent again after `hold_until`, and nothing before it; false when
    /// there is none.
    pub(super) fn put_off(&mut self, request_id: u64, hold_until: Duration) -> bool {
        let Some(at) = self.position(request_id) else {
            return false;
        };
        self.in_flight -= 1;
        self.pending[at].in_flight = None;
        self.hold_until = self.hold_until.max(hold_until);
        true
    }

    /// The connection is gone: everything is to be sent again on the next one.
    pub(super) fn connection_lost(&mut self) {
        for pending in &mut self.pending {
            pending.in_flight = None;
        }
        self.in_flight = 0;
        self.hold_until = Duration::ZERO;
    }

    /// Since when the message that waits longest for its answer is on its way.
    pub(super) fn oldest(&self) -> Option<Duration> {
        if self.in_flight == 0 {
            return None;
        }
        self.pending
            .iter()
            .filter_map(|pending| Some(pending.in_flight?.since))
            .min()
    }

    /// When something held back may be sent.
    pub(super) fn release(&self) -> Option<Duration> {
        (self.in_flight < self.pending.len() && self.in_flight < MAX_IN_FLIGHT).then_some(self.hold_until)
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
        }
    }
}
