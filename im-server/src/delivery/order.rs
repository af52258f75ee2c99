//! The order of one conversation's entries: a state machine without I/O.
//!
//! A node delivers the entries of a conversation in the order of seq, each once, whatever the backplane loses,
//! duplicates or reorders. An entry with the expected seq is delivered, with those that waited for it; a lower one is
//! dropped; a higher one waits, and the gap before it is read from the database.

use std::collections::{BTreeMap, VecDeque};

use journal::Published;
use proto::Seq;

/// Capacity for early entries; overflow drops the highest, which are read with the gap.
const EARLY_ENTRIES: usize = 256;

#[derive(Debug)]
pub(crate) struct Order {
    delivered: Seq,
    /// The highest seq known to exist.
    known: Seq,
    early: BTreeMap<Seq, Published>,
}

impl Order {
    /// Begins after an entry.
    pub(crate) fn after(delivered: Seq) -> Self {
        Self {
            delivered,
            known: delivered,
            early: BTreeMap::new(),
        }
    }

    pub(crate) fn delivered(&self) -> Seq {
        self.delivered
    }

    // protocol: "Each entry arrives once and in order"
    /// Accepts an entry; appends those that are due to `ready`, in order.
    pub(crate) fn offer(&mut self, entry: Published, ready: &mut VecDeque<Published>) {
        self.known = self.known.max(entry.seq);
        if entry.seq <= self.delivered {
            return;
        }
        if entry.seq == self.delivered.next() {
            self.delivered = entry.seq;
            ready.push_back(entry);
            self.release(ready);
            return;
        }
        self.early.insert(entry.seq, entry);
        if self.early.len() > EARLY_ENTRIES {
            self.early.pop_last();
        }
    }

    /// Records that entries up to `seq` exist.
    pub(crate) fn exists(&mut self, seq: Seq) {
        self.known = self.known.max(seq);
    }

    // protocol: "Entry frames, of each conversation in the order of seq"
    /// The missing entries, both ends included.
    pub(crate) fn gap(&self) -> Option<(Seq, Seq)> {
        if self.known <= self.delivered {
            return None;
        }
        let last = self
            .early
            .keys()
            .next()
            .map_or(self.known, |early| early.previous());
        Some((self.delivered.next(), last))
    }

    fn release(&mut self, ready: &mut VecDeque<Published>) {
        while let Some(entry) = self.early.first_entry() {
            if *entry.key() > self.delivered.next() {
                return;
            }
            let entry = entry.remove();
            if entry.seq == self.delivered.next() {
                self.delivered = entry.seq;
                ready.push_back(entry);
            }
        }
        if self.early.is_empty() {
            self.early = BTreeMap::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proto::{ConversationId, UserId, wire::EntryKind};

    use super::*;

    fn entry(seq: i64) -> Published {
        Published::new(journal::Entry {
            conversation: ConversationId::from_database(1),
            seq: Seq::from_database(seq),
            sender: UserId::from_database(1),
            kind: EntryKind::Message,
            created_ms: 0,
            client_msg_id: String::new(),
            mime_type: String::new(),
            body: bytes::Bytes::new(),
            reply_to_seq: Seq::ZERO,
            corrects_seq: Seq::ZERO,
            mentions: Vec::new(),
            event: None,
            recalled: false,
        })
    }

    fn seqs(ready: &VecDeque<Published>) -> Vec<i64> {
        ready.iter().map(|entry| entry.seq.get()).collect()
    }

    proptest! {
        /// I3: filling the gaps of a lossy, duplicating, reordering channel delivers each entry once, in order.
        #[test]
        fn each_entry_once_in_order(
            begin in 0i64..5,
            arrivals in prop::collection::vec(1i64..400, 0..600),
            last in 1i64..400,
            fetch_every in 1usize..50,
        ) {
            let mut order = Order::after(Seq::from_database(begin));
            let mut ready = VecDeque::new();
            let mut top = begin;
            for (at, seq) in arrivals.iter().enumerate() {
                top = top.max(*seq);
                order.offer(entry(*seq), &mut ready);
                if at % fetch_every == 0 && let Some((low, high)) = order.gap() {
                    prop_assert!(low <= high && high.get() <= top);
                    for seq in low.get()..=high.get() { order.offer(entry(seq), &mut ready); }
                }
                prop_assert!(order.early.len() <= EARLY_ENTRIES);
            }
            order.exists(Seq::from_database(last));
            top = top.max(last);
            while let Some((low, high)) = order.gap() {
                for seq in low.get()..=high.get() { order.offer(entry(seq), &mut ready); }
            }
            prop_assert_eq!(seqs(&ready), (begin + 1..=top).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_early_entry_waits_for_its_gap() {
        let mut order = Order::after(Seq::from_database(3));
        let mut ready = VecDeque::new();
        order.offer(entry(6), &mut ready);
        order.offer(entry(3), &mut ready);
        assert!(ready.is_empty());
        assert_eq!(order.gap(), Some((Seq::from_database(4), Seq::from_database(5))));
        order.offer(entry(4), &mut ready);
        order.offer(entry(5), &mut ready);
        assert_eq!(seqs(&ready), [4, 5, 6]);
        assert_eq!(order.gap(), None);
    }
}
