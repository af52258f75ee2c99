//! A Bloom filter over the client_msg_ids of a conversation: most messages are new, and a look-up in the index of all sent
//! messages costs more than the insertion.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Entries of the largest conversation that gets a filter: to build one, all its client_msg_ids are read. A filter is kept
/// until it holds twice as many. Beyond it each message is looked up.
const MESSAGES: usize = 2048;
/// Bits for each message of the capacity, and bits that a message sets: a full filter lets one of 400 new messages be looked
/// up in vain.
const BITS: usize = 16;
const SET: u32 = 4;
/// Bytes of all filters of a process: those of some five million messages in active conversations.
const BYTES: usize = 16 * 1024 * 1024;

/// The memory that all filters share.
#[derive(Debug)]
pub(crate) struct Budget(Arc<Semaphore>);

impl Default for Budget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BYTES)))
    }
}

/// A Bloom filter over the hashes of some messages.
#[derive(Debug)]
pub(crate) struct Filter {
    words: Box<[u64]>,
    /// Messages that still fit.
    free: usize,
    _share: OwnedSemaphorePermit,
}

impl Filter {
    /// An empty filter with a capacity of twice `messages`; `None` when they are too many, or memory is used up.
    pub(super) fn new(budget: &Budget, messages: usize) -> Option<Self> {
        if messages > MESSAGES {
            return None;
        }
        let capacity = (2 * messages).next_power_of_two().max(64);
        let bytes = capacity * BITS / 8;
        let share = budget
            .0
            .clone()
            .try_acquire_many_owned(u32::try_from(bytes).ok()?);
        Some(Self {
            words: vec![0; bytes / size_of::<u64>()].into(),
            free: capacity,
            _share: share.ok()?,
        })
    }

    /// Whether as many messages still fit.
    pub(super) fn has_capacity(&self, messages: usize) -> bool {
        messages <= self.free
    }

    /// Adds a message.
    pub(super) fn add(&mut self, hash: u64) {
        self.free = self.free.saturating_sub(1);
        for bit in 0..SET {
            let (word, mask) = self.place(hash, bit);
            self.words[word] |= mask;
        }
    }

    /// False only for messages that were not added.
    pub(super) fn may_hold(&self, hash: u64) -> bool {
        (0..SET).all(|bit| {
            let (word, mask) = self.place(hash, bit);
            self.words[word] & mask != 0
        })
    }

    fn place(&self, hash: u64, bit: u32) -> (usize, u64) {
        // Two hashes make all others (Kirsch and Mitzenmacher).
        let (first, step) = (hash as u32, (hash >> 32) as u32 | 1);
        let at = first.wrapping_add(bit.wrapping_mul(step)) as usize;
        // A power of two.
        ((at / 64) & (self.words.len() - 1), 1 << (at % 64))
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;

    #[test]
    fn added_messages_are_held_and_few_others() {
        let (budget, hasher) = (Budget::default(), RandomState::new());
        for messages in [1, 40, 1000, MESSAGES] {
            let mut filter = Filter::new(&budget, messages).unwrap();
            assert!(filter.has_capacity(2 * messages));
            for id in 0..2 * messages {
                filter.add(hasher.hash_one(id));
            }
            assert!((0..2 * messages).all(|id| filter.may_hold(hasher.hash_one(id))));
            let others = 100_000..200_000;
            let held = others.filter(|id| filter.may_hold(hasher.hash_one(*id)));
            // 240 of them on average.
            assert!(held.count() < 1000, "{messages}");
        }
    }

    #[test]
    fn large_conversations_have_none() {
        assert!(Filter::new(&Budget::default(), MESSAGES + 1).is_none());
    }

    #[test]
    fn filters_share_a_budget_and_return_their_share() {
        let budget = Budget::default();
        let filters: Vec<Filter> = std::iter::from_fn(|| Filter::new(&budget, MESSAGES)).collect();
        let bytes: usize = filters.iter().map(|filter| 8 * filter.words.len()).sum();
        assert_eq!(bytes, BYTES);
        drop(filters);
        assert!(Filter::new(&budget, MESSAGES).is_some());
    }
}
