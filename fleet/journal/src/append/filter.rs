//! Which client_msg_ids a conversation surely has not had: most messages are new, and looking for each in an index of all
//! that was ever sent costs more than adding it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Entries of the largest conversation that a filter is made for; to make one, all client_msg_ids of its messages are read. One
/// that was made is kept until twice as many are in it. Beyond it each message is looked for.
const MESSAGES: usize = 2048;
/// Bits for each message that a filter was made for, and how many of them a message sets: one of 400 new messages is looked
/// for in vain when the filter is full.
const BITS: usize = 16;
const SET: u32 = 4;
/// Bytes that all filters of a process may take: those of some five million messages in conversations where something is
/// said.
const BYTES: usize = 16 * 1024 * 1024;

/// What all filters may take together.
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
    /// How many more it was made for.
    free: usize,
    _share: OwnedSemaphorePermit,
}

impl Filter {
    /// An empty one for a conversation that has `messages`, and as many again; none when that are too many.
    pub(super) fn new(budget: &Budget, messages: usize) -> Option<Self> {
        if messages > MESSAGES {
            return None;
        }
        let made_for = (2 * messages).next_power_of_two().max(64);
        let bytes = made_for * BITS / 8;
        let share = budget
            .0
            .clone()
            .try_acquire_many_owned(u32::try_from(bytes).ok()?);
        Some(Self {
            words: vec![0; bytes / size_of::<u64>()].into(),
            free: made_for,
            _share: share.ok()?,
        })
    }

    /// Whether it was made for so many more.
    pub(super) fn takes(&self, messages: usize) -> bool {
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

    /// False when the message was surely not added.
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
    fn what_was_added_is_held_and_nearly_nothing_else() {
        let (budget, hasher) = (Budget::default(), RandomState::new());
        for messages in [1, 40, 1000, MESSAGES] {
            let mut filter = Filter::new(&budget, messages).unwrap();
            assert!(filter.takes(2 * messages));
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
    fn all_together_take_no_more_than_they_may_and_give_it_back() {
        let budget = Budget::default();
        let filters: Vec<Filter> = std::iter::from_fn(|| Filter::new(&budget, MESSAGES)).collect();
        let bytes: usize = filters.iter().map(|filter| 8 * filter.words.len()).sum();
        assert_eq!(bytes, BYTES);
        drop(filters);
        assert!(Filter::new(&budget, MESSAGES).is_some());
    }
}
