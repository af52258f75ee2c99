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

/// Conversations kept; beyond that all are forgotten and asked for again. Some 800 bytes each, and what filters take.
const CONVERSATIONS: usize = 50_000;
/// Participants kept for one conversation between batches: they are searched one by one.
const PARTICIPANTS: usize = 64;

/// One conversation, as of `last_seq`.
#[derive(Debug)]
pub(crate) struct Known {
    /// The seq that the database held, and must still hold when the batch is written.
    pub(crate) standing: Standing,
    /// Some of those who are in it: who sent something or was mentioned.
    pub(crate) participants: Vec<(UserId, Participation)>,
    /// In a file, the entries after this seq are not claimed.
    pub(crate) claimed_seq: Seq,
    /// These entries, in the order of seq.
    pub(crate) unclaimed: Vec<Unclaimed>,
    /// The messages that are claimed; none while each is looked for.
    pub(crate) claimed: Option<Filter>,
}

impl Known {
    /// A conversation of which no entry is unclaimed and nobody is known.
    pub(crate) fn new(standing: Standing) -> Self {
        Self {
            standing,
            participants: Vec::new(),
            claimed_seq: standing.last_seq,
            unclaimed: Vec::new(),
            claimed: None,
        }
    }

    /// Somebody who is in it; none when they are not, or were not asked for.
    pub(crate) fn participant(&self, user: UserId) -> Option<&Participation> {
        let found = self.participants.iter().find(|(known, _)| *known == user);
        found.map(|(_, participation)| participation)
    }

    /// Adds somebody who is in it and is not known. A batch keeps everybody that it asked for, however many they are.
    pub(crate) fn remember(&mut self, user: UserId, participation: Participation) {
        self.participants.push((user, participation));
    }
}

/// A span of somebody: the role, the first entry and the last one; no last one while they are in.
pub(crate) type Spell = (Role, Seq, Option<Seq>);

/// What somebody who is in a conversation may do and see there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Participation {
    pub(crate) role: Role,
    /// The entry by which they joined last.
    from: Seq,
    /// Their spans before, both ends included.
    earlier: Box<[(Seq, Seq)]>,
}

impl Participation {
    /// From all spans of somebody; none when no span is open.
    pub(crate) fn of(spans: impl IntoIterator<Item = Spell>) -> Option<Self> {
        let mut open = None;
        let mut earlier = Vec::new();
        for (role, from, to) in spans {
            match to {
                None => open = Some((role, from)),
                Some(to) => earlier.push((from, to)),
            }
        }
        let (role, from) = open?;
        Some(Self {
            role,
            from,
            earlier: earlier.into(),
        })
    }

    /// Whether they may see an entry that is there.
    pub(crate) fn sees(&self, seq: Seq) -> bool {
        self.from <= seq || self.earlier.iter().any(|(from, to)| *from <= seq && seq <= *to)
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
        for (conversation, mut state) in conversations {
            if known.len() >= CONVERSATIONS {
                known.clear();
            }
            if state.participants.len() > PARTICIPANTS {
                state.participants = Vec::new();
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

    fn doctor() -> Participation {
        Participation::of([(Role::Doctor, Seq::from_database(2), None)]).unwrap()
    }

    fn cache() -> Cache {
        let cache = Cache::default();
        let mut known = Known::new(Standing {
            open: true,
            last_seq: Seq::from_database(5),
        });
        known.remember(UserId::from_database(1), doctor());
        cache.put([(CONVERSATION, known)]);
        cache
    }

    /// The last seq that is known after an entry was heard of.
    fn after(seq: i64, is_message: bool) -> Option<i64> {
        let cache = cache();
        cache.heard(CONVERSATION, Seq::from_database(seq), is_message);
        let known = cache.take(CONVERSATION)?;
        assert_eq!(known.participant(UserId::from_database(1)), Some(&doctor()));
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
    fn spans_tell_what_somebody_sees() {
        let seq = Seq::from_database;
        let spans = [
            (Role::Patient, seq(2), Some(seq(4))),
            (Role::Doctor, seq(8), None),
        ];
        let twice = Participation::of(spans).unwrap();
        assert_eq!(twice.role, Role::Doctor, "the role of the span that is open");
        let seen: Vec<i64> = (1..=10).filter(|at| twice.sees(seq(*at))).collect();
        assert_eq!(seen, [2, 3, 4, 8, 9, 10]);
        assert_eq!(
            Participation::of(spans.into_iter().take(1)),
            None,
            "they have left"
        );
    }

    #[test]
    fn a_crowd_is_known_within_a_batch_and_not_kept() {
        let cache = cache();
        let mut known = cache.take(CONVERSATION).unwrap();
        let crowd = (1..=2 * PARTICIPANTS as i64).map(UserId::from_database);
        crowd.clone().for_each(|user| known.remember(user, doctor()));
        assert!(crowd.clone().all(|user| known.participant(user).is_some()));
        cache.put([(CONVERSATION, known)]);
        let known = cache.take(CONVERSATION).unwrap();
        assert!({ crowd }.all(|user| known.participant(user).is_none()));
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
