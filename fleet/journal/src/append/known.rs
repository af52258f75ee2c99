//! Cached state of conversations, so that most appends read nothing.
//!
//! `last_seq` is the version of all state that decides an append, and every append compares and sets it. So the cache may be
//! stale, but no entry is ever written by stale state.

use std::collections::HashMap;

use parking_lot::Mutex;
use proto::{ConversationId, Seq, UserId, wire::Role};

use super::decide::Standing;

/// Cached conversations, some 800 bytes each; beyond it the cache is cleared.
const CONVERSATIONS: usize = 50_000;
/// Cached participants of one conversation, kept between batches; a look-up scans them.
const PARTICIPANTS: usize = 64;

/// One conversation, as of `last_seq`.
#[derive(Debug)]
pub(crate) struct Known {
    /// The state that the database must still hold when the batch is written.
    pub(super) standing: Standing,
    /// Participants who sent a message or were mentioned.
    participants: Vec<(UserId, Participation)>,
}

impl Known {
    /// A conversation without cached participants.
    pub(super) fn new(standing: Standing) -> Self {
        Self {
            standing,
            participants: Vec::new(),
        }
    }

    /// A participant; `None` when the user is not in the conversation, or not cached.
    pub(super) fn participant(&self, user: UserId) -> Option<&Participation> {
        let found = self.participants.iter().find(|(known, _)| *known == user);
        found.map(|(_, participation)| participation)
    }

    /// Caches a participant. Within a batch their number has no limit.
    pub(super) fn remember(&mut self, user: UserId, participation: Participation) {
        self.participants.push((user, participation));
    }
}

impl AsMut<Self> for Known {
    fn as_mut(&mut self) -> &mut Self {
        self
    }
}

/// A stay: role, the first entry that it shows, and the last one unless it is open.
pub(super) type Spell = (Role, Seq, Option<Seq>);

/// The role of a participant, and the entries that they see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Participation {
    pub(super) role: Role,
    /// The first entry that the open span shows.
    from: Seq,
    /// The ranges that closed spans show, both ends included.
    earlier: Box<[(Seq, Seq)]>,
}

impl Participation {
    /// From all spans of a user; `None` when none is open.
    pub(super) fn of(spans: impl IntoIterator<Item = Spell>) -> Option<Self> {
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

    /// Whether one of their spans shows an entry.
    pub(super) fn sees(&self, seq: Seq) -> bool {
        self.from <= seq || self.earlier.iter().any(|(from, to)| *from <= seq && seq <= *to)
    }
}

/// Cached conversations. Locked for one look-up at a time, by the writer of a batch.
#[derive(Debug)]
pub(crate) struct Cache<K>(Mutex<HashMap<ConversationId, K>>);

impl<K> Default for Cache<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: AsMut<Known>> Cache<K> {
    /// Removes a conversation for a batch, which puts it back after its commit.
    pub(super) fn take(&self, conversation: ConversationId) -> Option<K> {
        self.0.lock().remove(&conversation)
    }

    /// Puts conversations back, in the state after a committed batch.
    pub(super) fn put(&self, conversations: impl IntoIterator<Item = (ConversationId, K)>) {
        let mut all = self.0.lock();
        for (conversation, mut known) in conversations {
            if all.len() >= CONVERSATIONS {
                all.clear();
            }
            let participants = &mut known.as_mut().participants;
            if participants.len() > PARTICIPANTS {
                *participants = Vec::new();
            }
            all.insert(conversation, known);
        }
    }

    /// Invalidates one conversation.
    pub(super) fn forget(&self, conversation: ConversationId) {
        self.0.lock().remove(&conversation);
    }

    /// Invalidates the cache.
    pub(super) fn forget_all(&self) {
        self.0.lock().clear();
    }
}

impl Cache<Known> {
    /// An entry of another node was published. A message advances the version and nothing else, so the cached state stays
    /// right. Any other entry may change participants or state, and so may an unseen one in a gap: the conversation is read
    /// again.
    pub(super) fn heard(&self, conversation: ConversationId, seq: Seq, is_message: bool) {
        let mut all = self.0.lock();
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
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONVERSATION: ConversationId = ConversationId::from_database(7);

    fn doctor() -> Participation {
        Participation::of([(Role::Doctor, Seq::from_database(2), None)]).unwrap()
    }

    fn cache() -> Cache<Known> {
        let cache = Cache::default();
        let mut known = Known::new(Standing {
            open: true,
            last_seq: Seq::from_database(5),
        });
        known.remember(UserId::from_database(1), doctor());
        cache.put([(CONVERSATION, known)]);
        cache
    }

    /// The cached `last_seq` after an entry was heard.
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
    fn an_event_or_a_gap_invalidates_the_conversation() {
        assert_eq!(after(6, false), None, "a user joined or left");
        assert_eq!(after(8, true), None, "the entry between may be an event");
    }

    #[test]
    fn a_participant_sees_the_entries_of_their_spans() {
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
    fn a_crowd_is_cached_within_a_batch_and_not_beyond() {
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
    fn an_entry_that_is_known_changes_nothing() {
        assert_eq!(after(5, true), Some(5));
        assert_eq!(after(3, false), Some(5));
        let cache = cache();
        cache.heard(ConversationId::from_database(8), Seq::from_database(1), true);
        assert!(cache.take(ConversationId::from_database(8)).is_none());
    }
}
