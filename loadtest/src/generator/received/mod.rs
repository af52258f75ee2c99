//! A session's entries of one conversation: each once, in order, without gaps, or not. Pure.

pub mod verdict;

use std::ops::RangeInclusive;

/// The seqs that came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    base: i64,
    have: i64,
    /// Skipped so far, in order; an entry that comes late takes itself out again.
    missing: Vec<RangeInclusive<i64>>,
    /// Entries that came again.
    pub duplicated: u64,
    /// Entries that came after a later one.
    pub reordered: u64,
    digest: u64,
}

impl Tally {
    /// Expects the entry after `base` next.
    pub fn after(base: i64) -> Self {
        Self {
            base,
            have: base,
            ..Self::default()
        }
    }

    /// Takes note of an entry; `content` stands for what it says. True when it is new.
    pub fn see(&mut self, seq: i64, content: u64) -> bool {
        if seq == self.have + 1 {
            self.have = seq;
        } else if seq > self.have {
            self.missing.push(self.have + 1..=seq - 1);
            self.have = seq;
        } else if self.take_missing(seq) {
            self.reordered += 1;
        } else {
            self.duplicated += 1;
            return false;
        }
        self.digest = self.digest.wrapping_add(mixed(seq as u64 ^ mixed(content)));
        true
    }

    /// The last seq that came.
    pub fn have(&self) -> i64 {
        self.have
    }

    /// How many entries up to `last` did not come.
    pub fn lost(&self, last: i64) -> u64 {
        let skipped: i64 = self
            .missing
            .iter()
            .map(|range| (last.min(*range.end()) - range.start() + 1).max(0))
            .sum();
        (skipped + (last - self.have).max(0)) as u64
    }

    /// Stands for all that came, in whatever order; two sessions that got the same have the same. None while
    /// something is missing.
    pub fn digest(&self) -> Option<(i64, i64, u64)> {
        self.missing
            .is_empty()
            .then_some((self.base, self.have, self.digest))
    }

    fn take_missing(&mut self, seq: i64) -> bool {
        let Some(at) = self.missing.iter().position(|range| range.contains(&seq)) else {
            return false;
        };
        let range = self.missing.remove(at);
        if seq < *range.end() {
            self.missing.insert(at, seq + 1..=*range.end());
        }
        if seq > *range.start() {
            self.missing.insert(at, *range.start()..=seq - 1);
        }
        true
    }
}

/// Numbers of a set, each of which may come once.
#[derive(Clone, Debug, Default)]
pub struct Once {
    words: Vec<u64>,
    count: u64,
}

impl Once {
    /// True the first time.
    pub fn first(&mut self, number: u32) -> bool {
        let (word, bit) = (number as usize / 64, 1u64 << (number % 64));
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let first = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.count += u64::from(first);
        first
    }

    /// Whether it came.
    pub fn contains(&self, number: u32) -> bool {
        self.words
            .get(number as usize / 64)
            .is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    /// How many came.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many of these are not among those of `other`.
    pub fn missing_from(&self, other: &Self) -> u64 {
        self.words
            .iter()
            .enumerate()
            .map(|(at, word)| (word & !other.words.get(at).copied().unwrap_or(0)).count_ones())
            .map(u64::from)
            .sum()
    }
}

/// The finisher of splitmix64: every bit of the result depends on every bit of the number.
pub fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn tally(base: i64, seqs: &[i64]) -> Tally {
        let mut tally = Tally::after(base);
        for seq in seqs {
            tally.see(*seq, 0);
        }
        tally
    }

    #[test]
    fn a_clean_run_has_nothing_to_report() {
        let tally = tally(10, &[11, 12, 13]);
        assert_eq!((tally.lost(13), tally.duplicated, tally.reordered), (0, 0, 0));
    }

    #[test]
    fn a_gap_is_a_loss() {
        let tally = tally(0, &[1, 2, 5, 6]);
        assert_eq!((tally.lost(6), tally.duplicated, tally.reordered), (2, 0, 0));
        assert_eq!(tally.digest(), None);
    }

    #[test]
    fn what_was_acknowledged_and_never_came_is_a_loss() {
        assert_eq!(tally(0, &[1, 2]).lost(7), 5);
        assert_eq!(tally(3, &[]).lost(4), 1);
    }

    #[test]
    fn what_comes_again_is_a_duplicate() {
        let tally = tally(0, &[1, 2, 2, 3, 1]);
        assert_eq!((tally.lost(3), tally.duplicated, tally.reordered), (0, 2, 0));
    }

    #[test]
    fn what_comes_from_before_the_base_is_a_duplicate() {
        assert_eq!(tally(5, &[5, 6]).duplicated, 1);
    }

    #[test]
    fn what_comes_late_is_reordered_and_not_lost() {
        let tally = tally(0, &[1, 3, 2, 4, 9, 6, 6]);
        assert_eq!((tally.lost(9), tally.duplicated, tally.reordered), (3, 1, 2));
    }

    #[test]
    fn a_huge_gap_costs_nothing() {
        let tally = tally(0, &[1, i64::MAX - 1]);
        assert_eq!(tally.missing.len(), 1);
        assert_eq!(tally.lost(10), 9);
    }

    #[test]
    fn other_content_or_another_order_of_it_shows_in_the_digest() {
        let mut one = Tally::after(0);
        let mut swapped = Tally::after(0);
        for (seq, (content, other)) in (1..).zip([(7, 8), (8, 7)]) {
            one.see(seq, content);
            swapped.see(seq, other);
        }
        assert_ne!(one.digest(), swapped.digest());
    }

    #[test]
    fn each_number_is_first_once() {
        let mut acked = Once::default();
        let mut echoed = Once::default();
        for number in [0, 64, 200] {
            assert!(acked.first(number));
            assert!(!acked.first(number));
        }
        echoed.first(64);
        assert_eq!((acked.count(), acked.missing_from(&echoed)), (3, 2));
        assert!(acked.contains(200) && !acked.contains(199) && !acked.contains(9999));
    }

    proptest! {
        #[test]
        fn agrees_with_a_naive_model(seqs in prop::collection::vec(1i64..30, 0..60)) {
            let tally = tally(0, &seqs);
            let (mut seen, mut top, mut duplicated, mut reordered) = (BTreeSet::new(), 0, 0, 0);
            for seq in &seqs {
                if !seen.insert(*seq) {
                    duplicated += 1;
                } else if *seq < top {
                    reordered += 1;
                }
                top = top.max(*seq);
            }
            prop_assert_eq!((tally.duplicated, tally.reordered), (duplicated, reordered));
            for last in 0..35 {
                prop_assert_eq!(tally.lost(last), (1..=last).filter(|seq| !seen.contains(seq)).count() as u64);
            }
        }
    }
}
