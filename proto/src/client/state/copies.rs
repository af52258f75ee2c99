//! The app's copy of each conversation: the epoch, and the last seq. Pure.

use std::collections::HashMap;

use crate::wire::{Conversation, Entry, SyncItem};

/// The most bytes of one SyncItem in a frame: three 64-bit numbers, their tags, its own tag and length.
const SYNC_ITEM_BYTES: usize = 35;
/// The most bytes of a Sync beside its items.
const SYNC_BYTES: usize = 96;

/// The app's copy of one conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copy {
    /// As the last Conversation frame said.
    pub epoch: i64,
    /// The seq of the last entry that the app got; before the first one, the seq that entries were announced to follow.
    pub have_seq: i64,
}

/// The state that an app keeps over a restart, so that no event comes twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// By conversation id.
    pub copies: HashMap<i64, Copy>,
    /// `synced_ms` of the last complete Sync; 0 for none.
    pub synced_ms: i64,
}

impl Snapshot {
    // protocol: "reset = true: delete your copy first"
    // protocol: "So until the first entry has come keep"
    // protocol: "keep from_seq − 1 as have_seq, and go on"
    /// Records a conversation; true when the app must drop its copy.
    pub(in crate::client) fn conversation(&mut self, conversation: &Conversation) -> bool {
        // A connection that breaks before the first entry must not move the beginning: entries go on from where they
        // were announced, not from the newest ones.
        let announced = Copy {
            epoch: conversation.epoch,
            have_seq: match conversation.from_seq {
                0 => conversation.last_seq,
                from_seq => from_seq - 1,
            },
        };
        let copy = self
            .copies
            .entry(conversation.conversation_id)
            .or_insert(announced);
        let reset = conversation.reset || copy.epoch != conversation.epoch;
        if reset {
            *copy = announced;
        }
        reset
    }

    // protocol: "ignore it; else store it and set have_seq"
    // protocol: "Gaps in the numbers are entries that this user may not see"
    // protocol: "Show an Entry of a kind that you do not know"
    /// Records an entry; false when the app has it already.
    pub(in crate::client) fn entry(&mut self, entry: &Entry) -> bool {
        let copy = self.copies.entry(entry.conversation_id).or_default();
        let new = entry.seq > copy.have_seq;
        if new {
            copy.have_seq = entry.seq;
        }
        new
    }

    // protocol: "Send Sync with an item"
    // protocol: "Items that do not fit into one frame"
    // protocol: "before_conversation_id is 0 in the first part"
    // protocol: "from_conversation_id is 0 in the last part"
    /// The part of a Sync that begins below the id `before` (0: at the newest), as large as a frame of `max_frame_bytes`
    /// holds.
    pub(super) fn sync_part(&self, before: i64, max_frame_bytes: usize) -> SyncPart {
        let mut items: Vec<SyncItem> = self
            .copies
            .iter()
            .filter(|(id, _)| before == 0 || **id < before)
            .map(|(id, copy)| SyncItem {
                conversation_id: *id,
                epoch: copy.epoch,
                have_seq: copy.have_seq,
            })
            .collect();
        items.sort_unstable_by_key(|item| std::cmp::Reverse(item.conversation_id));
        let room = (max_frame_bytes.saturating_sub(SYNC_BYTES) / SYNC_ITEM_BYTES).max(1);
        let from = match items.len() > room {
            true => items[room - 1].conversation_id,
            false => 0,
        };
        items.truncate(room);
        SyncPart { items, before, from }
    }
}

/// A part of a Sync: the conversations with `from <= id < before`; 0 means unbounded.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SyncPart {
    pub(super) items: Vec<SyncItem>,
    pub(super) before: i64,
    pub(super) from: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(conversation_id: i64, seq: i64) -> Entry {
        Entry {
            conversation_id,
            seq,
            ..Entry::default()
        }
    }

    fn conversation(epoch: i64, reset: bool) -> Conversation {
        Conversation {
            conversation_id: 1,
            epoch,
            reset,
            ..Conversation::default()
        }
    }

    // protocol: "ignore it; else store it and set have_seq"
    #[test]
    fn an_entry_is_new_once() {
        let mut snapshot = Snapshot::default();
        assert!(snapshot.entry(&entry(1, 1)));
        assert!(!snapshot.entry(&entry(1, 1)));
        assert!(snapshot.entry(&entry(1, 2)));
        assert!(!snapshot.entry(&entry(1, 1)));
        assert!(snapshot.entry(&entry(2, 1)));
    }

    // protocol: "Gaps in the numbers are entries that this user may not see"
    #[test]
    fn seqs_that_the_user_may_not_see_are_skipped() {
        let mut snapshot = Snapshot::default();
        assert!(snapshot.entry(&entry(1, 5)));
        assert!(snapshot.entry(&entry(1, 9)));
        assert!(!snapshot.entry(&entry(1, 7)));
    }

    // protocol: "So until the first entry has come keep"
    #[test]
    fn a_copy_begins_where_entries_were_announced() {
        for (from_seq, last_seq, have_seq) in [(1, 3, 0), (8, 13, 7), (0, 13, 13)] {
            for reset in [false, true] {
                let mut snapshot = Snapshot::default();
                snapshot.conversation(&Conversation {
                    from_seq,
                    last_seq,
                    ..conversation(7, reset)
                });
                assert_eq!(snapshot.copies[&1], Copy { epoch: 7, have_seq });
                // A later announcement moves nothing.
                snapshot.conversation(&Conversation {
                    from_seq: 20,
                    last_seq: 30,
                    ..conversation(7, false)
                });
                assert_eq!(snapshot.copies[&1].have_seq, have_seq);
            }
        }
    }

    #[test]
    fn another_epoch_or_a_reset_forgets_the_copy() {
        for (epoch, reset) in [(8, false), (7, true)] {
            let mut snapshot = Snapshot::default();
            assert!(!snapshot.conversation(&conversation(7, false)));
            assert!(snapshot.entry(&entry(1, 40)));
            assert!(!snapshot.conversation(&conversation(7, false)));
            assert!(!snapshot.entry(&entry(1, 3)));
            assert!(snapshot.conversation(&conversation(epoch, reset)));
            assert!(snapshot.entry(&entry(1, 3)));
        }
    }

    // protocol: "keep from_seq − 1 as have_seq, and go on"
    // protocol: "Your copy ends with the leaving: entries continue at have_seq + 1"
    #[test]
    fn a_copy_with_a_hole_is_forgotten_and_goes_on_where_it_was() {
        for reset in [false, true] {
            let mut snapshot = Snapshot::default();
            snapshot.conversation(&conversation(7, false));
            assert!(snapshot.entry(&entry(1, 40)));
            let brought_back = Conversation {
                from_seq: 41,
                last_seq: 60,
                ..conversation(7, reset)
            };
            assert_eq!(snapshot.conversation(&brought_back), reset);
            assert_eq!(snapshot.copies[&1].have_seq, 40);
            assert!(
                !snapshot.entry(&entry(1, 40)),
                "the app has it, or reads it by History"
            );
            assert!(snapshot.entry(&entry(1, 41)));
        }
    }

    #[test]
    fn the_parts_of_a_sync_fit_into_frames_and_name_each_conversation_once() {
        use prost::Message;
        let mut snapshot = Snapshot::default();
        let copy = Copy {
            epoch: i64::MAX,
            have_seq: i64::MAX,
        };
        for id in 0..20_000 {
            snapshot.copies.insert(crate::ids::MAX_ID - 3 * id, copy);
        }
        let (mut named, mut before) = (Vec::new(), 0);
        loop {
            let part = snapshot.sync_part(before, 64 * 1024);
            let sync = crate::wire::Sync {
                items: part.items.clone(),
                updated_since_ms: i64::MAX,
                limit: 500,
                before_conversation_id: part.before,
                from_conversation_id: part.from,
            };
            assert!(sync.encoded_len() < 64 * 1024 - 20, "{}", sync.encoded_len());
            assert_eq!(part.before, before);
            let ids = part.items.iter().map(|item| item.conversation_id);
            named.extend(ids);
            assert!(named.iter().all(|id| *id >= part.from));
            if part.from == 0 {
                break;
            }
            before = part.from;
        }
        assert_eq!(named.len(), 20_000);
        assert!(named.is_sorted_by(|newer, older| newer > older));
    }

    #[test]
    fn an_app_without_copies_syncs_in_one_part() {
        let part = Snapshot::default().sync_part(0, 64 * 1024);
        assert_eq!((part.items.len(), part.before, part.from), (0, 0, 0));
    }
}
