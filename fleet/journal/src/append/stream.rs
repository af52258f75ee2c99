//! The order of one session's messages across refusals (invariant I2).
//!
//! A message that could not be written is refused, and the app resends it. Until then, later messages of the same session
//! and conversation must not be written: a [`Stream`] records the refused ones in the order of their first attempts, and
//! only the oldest of each conversation passes. A lane asks right before it writes, so messages that are queued behind a
//! refused one are refused as well.

use std::{
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use proto::ConversationId;
use rand::RngExt;

use super::NewMessage;

// protocol: "A session with more than 256 refused messages ends"
// protocol: "256; more end it with Bye UNAVAILABLE"
/// Refused messages that a stream records, over all conversations, 56 bytes each; beyond it the stream is overrun.
const MAX_REFUSED: usize = 256;
// protocol: "To give a refused message up, drop it"
/// A refused message that was not resent for this long is abandoned: it delays later ones no more.
const ABANDONED_AFTER: Duration = Duration::from_secs(30);
/// The delay of the oldest refused message of a conversation, milliseconds; random, since an outage refuses many senders in
/// the same instant.
const RETRY_MS: std::ops::Range<u64> = 500..2_000;
/// The shortest delay of a message that precedes its turn.
const TURN_MISSED: Duration = Duration::from_millis(100);
/// The further delay of each later message of the conversation.
const RETRY_STEP: Duration = Duration::from_millis(10);

/// The sends of one session, which keep their order in each conversation across refusals.
#[derive(Debug, Default)]
pub struct Stream {
    next_turn: AtomicU64,
    /// Whether a refused message is recorded. The lane that refuses a conversation's messages is the one that reads this.
    holds: AtomicBool,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    /// By turn.
    refused: Vec<Refused>,
    overrun: bool,
}

#[derive(Debug)]
struct Refused {
    conversation: ConversationId,
    /// Hash of the client_msg_id. Equal hashes would only mix up the sender's own messages.
    id: u64,
    turn: u64,
    /// The last refusal.
    last: Instant,
    /// When it may be resent, if it is the oldest of its conversation.
    due: Instant,
}

impl Stream {
    /// Whether more messages were refused than the stream can record. It accepts no more: the app logs in again and sends its
    /// outbox in order.
    pub fn is_overrun(&self) -> bool {
        self.holds.load(Ordering::Acquire) && self.book.lock().overrun
    }

    // protocol: "After UNAVAILABLE the node refuses later messages of this session"
    // protocol: "The node keeps that order:"
    /// Whether a message may be written now. A resend gets the turn of its first attempt.
    fn passes(&self, conversation: ConversationId, id: u64, turn: &mut u64, now: Instant) -> bool {
        if !self.holds.load(Ordering::Acquire) {
            return true;
        }
        let mut book = self.book.lock();
        book.refused.retain(|one| now < one.last + ABANDONED_AFTER);
        let own = book.find(conversation, id);
        if let Some(own) = own {
            *turn = (*turn).min(book.refused[own].turn);
        }
        let mut refused = book.refused.iter();
        // protocol: "Other conversations go on"
        let oldest = refused.find(|one| one.conversation == conversation);
        let passes = !book.overrun && oldest.is_none_or(|oldest| *turn <= oldest.turn);
        if passes && let Some(own) = own {
            book.refused.remove(own);
        }
        let holds = book.overrun || !book.refused.is_empty();
        self.holds.store(holds, Ordering::Release);
        passes
    }

    /// Records a refused message and returns the delay of its resend.
    fn refuse(&self, conversation: ConversationId, id: u64, turn: u64, now: Instant) -> Duration {
        let mut book = self.book.lock();
        self.holds.store(true, Ordering::Release);
        if let Some(own) = book.find(conversation, id) {
            book.refused[own].last = now;
        } else if book.refused.len() < MAX_REFUSED {
            let at = book.refused.partition_point(|one| one.turn < turn);
            book.refused.insert(
                at,
                Refused {
                    conversation,
                    id,
                    turn,
                    last: now,
                    due: now,
                },
            );
        } else {
            book.overrun = true;
        }
        let mut of_conversation = book
            .refused
            .iter_mut()
            .filter(|one| one.conversation == conversation);
        let Some(oldest) = of_conversation.next() else {
            return TURN_MISSED;
        };
        if oldest.id == id {
            oldest.due = now + Duration::from_millis(rand::rng().random_range(RETRY_MS));
            return oldest.due - now;
        }
        let due = oldest.due;
        let ahead = 1 + of_conversation.take_while(|one| one.id != id).count();
        let steps = RETRY_STEP * u32::try_from(ahead).unwrap_or(u32::MAX);
        due.saturating_duration_since(now).max(TURN_MISSED) + steps
    }
}

impl Book {
    fn find(&self, conversation: ConversationId, id: u64) -> Option<usize> {
        let mut refused = self.refused.iter();
        refused.position(|one| one.id == id && one.conversation == conversation)
    }
}

/// A message's position in the order of its stream.
#[derive(Debug)]
pub(super) struct Turn {
    /// `None` when the sender keeps no order.
    stream: Option<Arc<Stream>>,
    conversation: ConversationId,
    id: u64,
    turn: u64,
}

impl Turn {
    /// The next turn of the message's stream.
    pub(super) fn next(message: &NewMessage) -> Self {
        let stream = message.stream.clone();
        let turn = stream
            .as_ref()
            .map_or(0, |stream| stream.next_turn.fetch_add(1, Ordering::Relaxed));
        let id = stream.as_ref().map_or(0, |_| hash(&message.client_msg_id));
        Self {
            stream,
            conversation: message.conversation,
            id,
            turn,
        }
    }

    pub(super) fn conversation(&self) -> ConversationId {
        self.conversation
    }

    /// Whether the message may be written now; otherwise the caller refuses it.
    pub(super) fn passes(&mut self, now: Instant) -> bool {
        match &self.stream {
            Some(stream) => stream.passes(self.conversation, self.id, &mut self.turn, now),
            None => true,
        }
    }

    /// Records the refusal and returns the delay of the resend; zero without a stream.
    pub(super) fn refuse(&self, now: Instant) -> Duration {
        match &self.stream {
            Some(stream) => stream.refuse(self.conversation, self.id, self.turn, now),
            None => Duration::ZERO,
        }
    }
}

fn hash(client_msg_id: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(client_msg_id)
}

#[cfg(test)]
#[path = "tests/stream.rs"]
mod tests;
