//! What appends know of conversations without asking the database again.
//!
//! Everything that decides an append is versioned by `last_seq`, and every append compares and sets it: so what stands
//! here may be old, but nothing is ever written on the ground of it when it is.

use std::{collections::HashMap, hash::RandomState};

use parking_lot::Mutex;
use proto::{ConversationId, Seq, UserId, wire::Role};

use super::{decide::Standing, sent::Unclaimed};

/// Conversations kept; beyond that all are forgotten and asked for again. Some 400 bytes each.
const CONVERSATIONS: usize = 50_000;
/// Senders kept for one conversation: they are searched one by one.
const ROLES: usize = 64;

/// One conversation, as of `last_seq`.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// The seq that the database held, and must still hold when the batch is written.
    pub(crate) standing: Standing,
    /// The roles of those who have sent something; none for those who were refused.
    pub(crate) roles: Vec<(UserId, Option<Role>)>,
    /// Messages up to here are in `sent`.
    pub(crate) claimed_seq: Seq,
    /// The messages after it.
    pub(crate) unclaimed: Vec<Unclaimed>,
}

impl Known {
    pub(crate) fn role(&self, user: UserId) -> Option<Option<Role>> {
        self.roles
            .iter()
            .find(|(known, _)| *known == user)
            .map(|(_, role)| *role)
    }

    pub(crate) fn remember(&mut self, user: UserId, role: Option<Role>) {
        if self.roles.len() >= ROLES {
            self.roles.clear();
        }
        self.roles.push((user, role));
    }
}

/// The conversations that appends know of. Locked for a look-up at a time, by the thread that writes.
#[derive(Default)]
pub(crate) struct Cache {
    known: Mutex<HashMap<ConversationId, Known>>,
    /// Hashes what [`Unclaimed`] compares; random, so that nobody can send what collides.
    pub(crate) hasher: RandomState,
}

impl Cache {
    /// Takes what is known of a conversation out; it is put back when the batch has been written.
    pub(crate) fn take(&self, conversation: ConversationId) -> Option<Known> {
        self.known.lock().remove(&conversation)
    }

    /// Puts conversations back as a committed batch left them.
    pub(crate) fn put(&self, conversations: impl IntoIterator<Item = (ConversationId, Known)>) {
        let mut known = self.known.lock();
        for (conversation, state) in conversations {
            if known.len() >= CONVERSATIONS {
                known.clear();
            }
            known.insert(conversation, state);
        }
    }

    /// Somebody else has written to a conversation, or will.
    pub(crate) fn forget(&self, conversation: ConversationId) {
        self.known.lock().remove(&conversation);
    }

    /// Nothing is certain any more.
    pub(crate) fn forget_all(&self) {
        self.known.lock().clear();
    }
}
