//! Whether each member got each entry once, in order, without gaps. Pure.

use std::collections::BTreeMap;

use super::{Once, Tally};

/// How many faults are described; the rest is only counted.
const MAX_EXAMPLES: usize = 20;

/// A session's entries of one conversation.
#[derive(Clone, Debug)]
pub struct Got {
    /// Which conversation.
    pub conversation_id: i64,
    /// Who.
    pub user_id: i64,
    /// The entries that came.
    pub tally: Tally,
    /// The highest seq that was acknowledged to this user here.
    pub acked_seq: i64,
}

/// A session's own messages.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// Who.
    pub user_id: i64,
    /// Numbers of messages that were acknowledged.
    pub acked: Once,
    /// Numbers of messages that came back as entries.
    pub echoed: Once,
    /// Messages that came back as two entries or more.
    pub echoed_again: u64,
    /// Acknowledgements that called a message that was sent once a duplicate.
    pub called_duplicate: u64,
}

/// Broken promises, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Acknowledged, and a member did not get it.
    pub lost: u64,
    /// A session got it twice, or it became two entries.
    pub duplicated: u64,
    /// It came after a later one, or members got different things under the same seq.
    pub reordered: u64,
    /// Some of it in words.
    pub examples: Vec<String>,
}

impl Verdict {
    /// Judges a run by all that its sessions got.
    pub fn of(got: &[Got], own: &[Own]) -> Self {
        let mut verdict = Self::default();
        let mut last: BTreeMap<i64, i64> = BTreeMap::new();
        for one in got {
            let last = last.entry(one.conversation_id).or_default();
            *last = (*last).max(one.acked_seq);
        }
        let mut digests: BTreeMap<(i64, i64, i64), u64> = BTreeMap::new();
        for one in got {
            verdict.session(one, last[&one.conversation_id]);
            if let Some((base, have, digest)) = one.tally.digest() {
                let first = *digests.entry((one.conversation_id, base, have)).or_insert(digest);
                if first != digest {
                    verdict.reordered += 1;
                    verdict.example(|| {
                        format!(
                            "user {} got other entries of conversation {} than another member under the same seqs",
                            one.user_id, one.conversation_id
                        )
                    });
                }
            }
        }
        for one in own {
            verdict.own(one);
        }
        verdict
    }

    /// Whether nothing went wrong.
    pub fn is_clean(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.reordered == 0
    }

    /// Describes a fault, unless there are enough already.
    pub fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(text());
        }
    }

    fn session(&mut self, one: &Got, last: i64) {
        let lost = one.tally.lost(last);
        self.lost += lost;
        self.duplicated += one.tally.duplicated;
        self.reordered += one.tally.reordered;
        if lost > 0 || one.tally.duplicated > 0 || one.tally.reordered > 0 {
            self.example(|| {
                format!(
                    "user {} in conversation {}: {lost} of the entries up to {last} never came (it has {}), {} came again, {} came late",
                    one.user_id,
                    one.conversation_id,
                    one.tally.have(),
                    one.tally.duplicated,
                    one.tally.reordered
                )
            });
        }
    }

    fn own(&mut self, one: &Own) {
        let missing = one.acked.missing_from(&one.echoed);
        self.lost += missing;
        self.duplicated += one.echoed_again + one.called_duplicate;
        if missing > 0 || one.echoed_again > 0 || one.called_duplicate > 0 {
            self.example(|| {
                format!(
                    "user {}: {missing} acknowledged messages are no entries, {} are two, {} were called duplicates",
                    one.user_id, one.echoed_again, one.called_duplicate
                )
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn got(user_id: i64, seqs: &[(i64, u64)], acked_seq: i64) -> Got {
        let mut tally = Tally::after(0);
        for (seq, content) in seqs {
            tally.see(*seq, *content);
        }
        Got {
            conversation_id: 1,
            user_id,
            tally,
            acked_seq,
        }
    }

    #[test]
    fn a_clean_run_passes() {
        let verdict = Verdict::of(&[got(1, &[(1, 7), (2, 8)], 2), got(2, &[(1, 7), (2, 8)], 0)], &[]);
        assert!(verdict.is_clean(), "{verdict:?}");
    }

    #[test]
    fn a_member_that_lacks_what_another_was_acknowledged_has_lost_it() {
        let verdict = Verdict::of(&[got(1, &[(1, 7), (2, 8)], 2), got(2, &[(1, 7)], 0)], &[]);
        assert_eq!((verdict.lost, verdict.duplicated, verdict.reordered), (1, 0, 0));
        assert!(!verdict.is_clean());
        assert!(verdict.examples[0].contains("user 2"));
    }

    #[test]
    fn twice_and_late_are_counted() {
        let verdict = Verdict::of(&[got(1, &[(1, 7), (3, 9), (2, 8), (2, 8)], 3)], &[]);
        assert_eq!((verdict.lost, verdict.duplicated, verdict.reordered), (0, 1, 1));
    }

    #[test]
    fn members_that_disagree_are_found() {
        let verdict = Verdict::of(&[got(1, &[(1, 7), (2, 8)], 2), got(2, &[(1, 8), (2, 7)], 0)], &[]);
        assert_eq!((verdict.lost, verdict.duplicated, verdict.reordered), (0, 0, 1));
    }

    #[test]
    fn a_message_that_became_two_entries_or_none_is_found() {
        let mut own = Own::default();
        for number in 0..3 {
            own.acked.first(number);
        }
        own.echoed.first(0);
        own.echoed.first(1);
        own.echoed_again = 1;
        let verdict = Verdict::of(&[], &[own]);
        assert_eq!((verdict.lost, verdict.duplicated), (1, 1));
    }

    #[test]
    fn a_false_duplicate_is_found() {
        let own = Own {
            called_duplicate: 2,
            ..Own::default()
        };
        assert_eq!(Verdict::of(&[], &[own]).duplicated, 2);
    }

    #[test]
    fn examples_are_bounded() {
        let got: Vec<Got> = (0..100).map(|user| got(user, &[], 5)).collect();
        let verdict = Verdict::of(&got, &[]);
        assert_eq!((verdict.lost, verdict.examples.len()), (500, MAX_EXAMPLES));
    }
}
