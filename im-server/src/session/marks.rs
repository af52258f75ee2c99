//! Unsaved marks, merged for each user and conversation; `upkeep::marks` saves them once a second.

use std::collections::HashMap;

use parking_lot::Mutex;
use proto::{ConversationId, Seq, UserId};
use telemetry::events::im::MARKS_DROPPED;
use tokio::sync::MutexGuard;

/// Unsaved marks; overflow drops new ones. Marks are cumulative, so the next mark makes up for a dropped one.
const WAITING: usize = 50_000;

/// A user's position in a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) received_seq: Seq,
    pub(crate) read_seq: Seq,
}

#[derive(Default)]
pub(crate) struct Marks {
    waiting: Mutex<HashMap<(ConversationId, UserId), Mark>>,
    /// Held while marks are saved, so that a node that stops awaits the save under way.
    saving: tokio::sync::Mutex<()>,
}

impl Marks {
    // protocol: "Each is cumulative"
    pub(crate) fn keep(&self, conversation: ConversationId, user: UserId, mark: Mark) {
        let mut waiting = self.waiting.lock();
        if waiting.len() >= WAITING && !waiting.contains_key(&(conversation, user)) {
            MARKS_DROPPED.increment();
            return;
        }
        let kept = waiting.entry((conversation, user)).or_default();
        kept.received_seq = kept.received_seq.max(mark.received_seq);
        kept.read_seq = kept.read_seq.max(mark.read_seq);
    }

    /// Takes the unsaved marks, to be saved while the guard is held.
    pub(crate) async fn take(&self) -> (Vec<journal::marks::Mark>, MutexGuard<'_, ()>) {
        let saving = self.saving.lock().await;
        let waiting = std::mem::take(&mut *self.waiting.lock());
        let marks = waiting
            .into_iter()
            .map(|((conversation, user), mark)| journal::marks::Mark {
                conversation,
                user,
                received_seq: mark.received_seq,
                read_seq: mark.read_seq,
            })
            .collect();
        (marks, saving)
    }
}
