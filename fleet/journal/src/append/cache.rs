//! What appends know of conversations without asking the database again.
//!
//! Everything that decides an append is versioned by `last_seq`, and every append compares and sets it: so what stands
//! here may be old, but nothing is ever written on the ground of it when it is.

use std::{collections::HashMap, hash::RandomState};

use parking_lot::Mutex;
use proto::{ConversationId, Seq, UserId, wire::Role};

use super::{
    decide::Standing,
    filter::{Budget, Filter},
    sent::Unclaimed,
};

/// Conversations kept; beyond that all are forgotten and asked for again. Some 700 bytes each, and what filters take.
const CONVERSATIONS: usize = 50_000;
/// Senders kept for one conversation: they are searched one by one.
const ROLES: usize = 64;

/// One conversation, as of `last_seq`.
#[derive(Debug)]
pub(crate) struct Known {
    /// The seq that the database held, and must still hold when the batch is written.
    pub(crate) standing: Standing,
    /// The roles of those who have sent something; none for those who were refused.
    pub(crate) roles: Vec<(UserId, Option<Role>)>,
    /// In a file, the entries after this seq are not claimed.
    pub(crate) claimed_seq: Seq,
    /// These entries, in the order of seq.
    pub(crate) unclaimed: Vec<Unclaimed>,
    /// The messages that are claimed; none while each is looked for.
    pub(crate) claimed: Option<Filter>,
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
    /// What the filters of all conversations may take.
    pub(crate) budget: Budget,
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

    /// Another node has written an entry. A message changes nothing but the version, so that what is known of the
    /// conversation stays right; anything else may change who writes there, and after a gap nobody knows.
    pub(crate) fn heard(&self, conversation: ConversationId, seq: Seq, is_message: bool) {
        let mut all = self.known.lock();
        let Some(known) = all.get_mut(&conversation) else {
            return;
        };
        let last = &mut known.standing.last_seq;
        if seq <= *last {
            return;
        }
        if is_message && seq == last.next() {
            *last = seq;
        } else {
            all.remove(&conversation);
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

#[cfg(test)]
mod tests {
    use super::*;

    const CONVERSATION: ConversationId = ConversationId::from_database(7);

    fn cache() -> Cache {
        let cache = Cache::default();
        let known = Known {
            standing: Standing {
                open: true,
                last_seq: Seq::from_database(5),
            },
            roles: vec![(UserId::from_database(1), Some(Role::Doctor))],
            claimed_seq: Seq::from_database(5),
            unclaimed: Vec::new(),
            claimed: None,
        };
        cache.put([(CONVERSATION, known)]);
        cache
    }

    /// The last seq that is known after an entry was heard of.
    fn after(seq: i64, is_message: bool) -> Option<i64> {
        let cache = cache();
        cache.heard(CONVERSATION, Seq::from_database(seq), is_message);
        let known = cache.take(CONVERSATION)?;
        assert_eq!(known.role(UserId::from_database(1)), Some(Some(Role::Doctor)));
        Some(known.standing.last_seq.get())
    }

    #[test]
    fn a_message_of_another_node_moves_the_version_and_nothing_else() {
        assert_eq!(after(6, true), Some(6));
    }

    #[test]
    fn what_may_change_who_writes_is_asked_for_again() {
        assert_eq!(after(6, false), None, "somebody joined or left");
        assert_eq!(after(8, true), None, "what lies between is not known");
    }

    #[test]
    fn what_is_known_already_changes_nothing() {
        assert_eq!(after(5, true), Some(5));
        assert_eq!(after(3, false), Some(5));
        let cache = cache();
        cache.heard(ConversationId::from_database(8), Seq::from_database(1), true);
        assert!(cache.take(ConversationId::from_database(8)).is_none());
    }
}
