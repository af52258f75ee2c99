//! What the app has of each conversation: the epoch, and the last seq. Pure.

use std::collections::HashMap;

use crate::wire::{Conversation, Entry, SyncItem};

/// The bytes that one SyncItem may take in a frame: three 64-bit numbers, their tags, its own tag and length.
const SYNC_ITEM_BYTES: usize = 35;

/// The app's copy of one conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copy {
    /// As the last Conversation frame said.
    pub epoch: i64,
    /// The seq of the last entry that the app got; 0 for none.
    pub have_seq: i64,
}

/// What an app keeps over a restart, so that it is told of nothing twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// By conversation id.
    pub copies: HashMap<i64, Copy>,
    /// `synced_ms` of the last complete Sync; 0 for none.
    pub synced_ms: i64,
}

impl Snapshot {
    /// Takes note of a conversation; true when the app must forget its copy.
    pub(super) fn conversation(&mut self, conversation: &Conversation) -> bool {
        let copy = self.copies.entry(conversation.conversation_id).or_insert(Copy {
            epoch: conversation.epoch,
            have_seq: 0,
        });
        let reset = conversation.reset || copy.epoch != conversation.epoch;
        if reset {
            *copy = Copy {
                epoch: conversation.epoch,
                have_seq: 0,
            };
        }
        reset
    }

    /// Takes note of an entry; false when the app has it already.
    pub(super) fn entry(&mut self, entry: &Entry) -> bool {
        let copy = self.copies.entry(entry.conversation_id).or_default();
        let new = entry.seq > copy.have_seq;
        if new {
            copy.have_seq = entry.seq;
        }
        new
    }

    /// What a Sync names; the longest journals are left out when a frame of `max_frame_bytes` has no room for all.
    /// Those are then told as if they were new, and what the app has of them is dropped again by seq.
    pub(super) fn sync_items(&self, max_frame_bytes: usize) -> Vec<SyncItem> {
        let mut items: Vec<SyncItem> = self
            .copies
            .iter()
            .map(|(id, copy)| SyncItem {
                conversation_id: *id,
                epoch: copy.epoch,
                have_seq: copy.have_seq,
            })
            .collect();
        items.sort_unstable_by_key(|item| std::cmp::Reverse(item.conversation_id));
        items.truncate(max_frame_bytes.saturating_sub(64) / SYNC_ITEM_BYTES);
        items
    }
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

    #[test]
    fn an_entry_is_new_once() {
        let mut snapshot = Snapshot::default();
        assert!(snapshot.entry(&entry(1, 1)));
        assert!(!snapshot.entry(&entry(1, 1)));
        assert!(snapshot.entry(&entry(1, 2)));
        assert!(!snapshot.entry(&entry(1, 1)));
        assert!(snapshot.entry(&entry(2, 1)));
    }

    #[test]
    fn seqs_that_the_user_may_not_see_are_skipped() {
        let mut snapshot = Snapshot::default();
        assert!(snapshot.entry(&entry(1, 5)));
        assert!(snapshot.entry(&entry(1, 9)));
        assert!(!snapshot.entry(&entry(1, 7)));
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

    #[test]
    fn a_sync_fits_into_a_frame() {
        use prost::Message;
        let mut snapshot = Snapshot::default();
        for id in 0..5000 {
            snapshot.copies.insert(
                crate::ids::MAX_ID - id,
                Copy {
                    epoch: i64::MAX,
                    have_seq: i64::MAX,
                },
            );
        }
        let sync = crate::wire::Sync {
            items: snapshot.sync_items(64 * 1024),
            updated_since_ms: i64::MAX,
            limit: 500,
        };
        assert!(sync.encoded_len() < 64 * 1024 - 20, "{}", sync.encoded_len());
        assert!(sync.items.len() > 1800);
    }
}
