//! The app's copy of each conversation, as docs/protocol.md ("A good client, on one page") describes it. Pure.

use std::collections::BTreeMap;

use proto::wire::{self, SyncItem};

/// The copies on the device.
#[derive(Debug, Default)]
pub(super) struct Copies {
    of: BTreeMap<i64, Copy>,
    /// Of the last complete Sync.
    pub(super) synced_ms: i64,
}

#[derive(Debug)]
struct Copy {
    epoch: i64,
    have_seq: i64,
}

impl Copies {
    /// A Sync that names every copy.
    pub(super) fn sync(&self, limit: u32) -> wire::Sync {
        let items = self.of.iter().map(|(conversation, copy)| SyncItem {
            conversation_id: *conversation,
            epoch: copy.epoch,
            have_seq: copy.have_seq,
        });
        wire::Sync {
            items: items.collect(),
            updated_since_ms: self.synced_ms,
            limit,
            ..Default::default()
        }
    }

    pub(super) fn conversation(&mut self, announced: &wire::Conversation) {
        if announced.reset {
            self.of.remove(&announced.conversation_id);
        }
        let begin = match announced.from_seq {
            0 => announced.last_seq,
            from_seq => from_seq - 1,
        };
        let copy = self.of.entry(announced.conversation_id).or_insert(Copy {
            epoch: announced.epoch,
            have_seq: begin,
        });
        copy.epoch = announced.epoch;
    }

    /// The app ignores entries that it has.
    pub(super) fn entry(&mut self, entry: &wire::Entry) {
        if let Some(copy) = self.of.get_mut(&entry.conversation_id) {
            copy.have_seq = copy.have_seq.max(entry.seq);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn have(copies: &Copies) -> Vec<(i64, i64)> {
        let items = copies.sync(3).items;
        items
            .iter()
            .map(|item| (item.conversation_id, item.have_seq))
            .collect()
    }

    #[test]
    fn a_copy_begins_where_the_node_says_and_grows_with_entries() {
        let mut copies = Copies::default();
        let mut announced = wire::Conversation {
            conversation_id: 4,
            epoch: 1,
            from_seq: 8,
            last_seq: 9,
            ..wire::Conversation::default()
        };
        copies.conversation(&announced);
        assert_eq!(have(&copies), [(4, 7)]);
        let entry = wire::Entry {
            conversation_id: 4,
            seq: 9,
            ..wire::Entry::default()
        };
        copies.entry(&entry);
        copies.conversation(&announced);
        assert_eq!(have(&copies), [(4, 9)]);
        announced.reset = true;
        copies.conversation(&announced);
        assert_eq!(have(&copies), [(4, 7)]);
        announced.from_seq = 0;
        copies.conversation(&announced);
        assert_eq!(have(&copies), [(4, 9)]);
    }
}
