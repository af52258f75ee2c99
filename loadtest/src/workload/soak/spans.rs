//! Somebody who comes and goes, and what they may see: the entries of their spans of participation, each once, in order,
//! and nothing else. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::audit::Record;
use crate::generator::payload::Mark;

/// The spans of one person, as the journal tells of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Spans(Vec<RangeInclusive<i64>>);

impl Spans {
    /// From the whole journal of a conversation.
    pub(super) fn of(user_id: i64, journal: &[Record]) -> Self {
        let mut spans = Vec::new();
        let mut since = None;
        for record in journal {
            match record.change {
                Some(change) if change.user_id == user_id && change.joined => since = Some(record.seq),
                Some(change) if change.user_id == user_id => {
                    if let Some(from) = since.take() {
                        spans.push(from..=record.seq);
                    }
                }
                _ => {}
            }
        }
        if let (Some(from), Some(last)) = (since, journal.last()) {
            spans.push(from..=last.seq);
        }
        Self(spans)
    }

    pub(super) fn contains(&self, seq: i64) -> bool {
        self.0.iter().any(|span| span.contains(&seq))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// What a visitor's device got of one conversation.
#[derive(Debug, Default)]
pub(super) struct Visit {
    /// Where the node began to feed, as the first Conversation frame said.
    from_seq: Option<i64>,
    got: BTreeMap<i64, Option<Mark>>,
    last: i64,
    duplicated: u64,
    reordered: u64,
    differing: u64,
}

/// What went wrong with a visit.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Within a span, and never came.
    pub(super) lost: u64,
    pub(super) duplicated: u64,
    pub(super) reordered: u64,
    /// Came, and was outside of every span.
    pub(super) leaked: u64,
    /// The first seq of each kind, for people.
    pub(super) examples: Vec<String>,
}

impl Visit {
    /// A Conversation frame.
    pub(super) fn conversation(&mut self, from_seq: i64) {
        self.from_seq.get_or_insert(from_seq);
    }

    /// An entry.
    pub(super) fn entry(&mut self, seq: i64, mark: Option<Mark>) {
        match self.got.get(&seq) {
            Some(first) => {
                self.duplicated += 1;
                self.differing += u64::from(*first != mark);
            }
            None => {
                self.reordered += u64::from(seq < self.last);
                self.got.insert(seq, mark);
            }
        }
        self.last = self.last.max(seq);
    }

    /// Compares with the journal.
    pub(super) fn judge(&self, spans: &Spans, journal: &[Record]) -> Wrong {
        let from = self.from_seq.unwrap_or(0);
        let mut wrong = Wrong {
            duplicated: self.duplicated,
            reordered: self.reordered + self.differing,
            ..Wrong::default()
        };
        let mut known = BTreeSet::new();
        for record in journal {
            known.insert(record.seq);
            match self.got.get(&record.seq) {
                None if spans.contains(record.seq) && record.seq >= from => {
                    if wrong.lost == 0 {
                        wrong.examples.push(format!("seq {} never came", record.seq));
                    }
                    wrong.lost += 1;
                }
                Some(_) if !spans.contains(record.seq) => {
                    if wrong.leaked == 0 {
                        wrong
                            .examples
                            .push(format!("seq {} came and is outside of every span", record.seq));
                    }
                    wrong.leaked += 1;
                }
                Some(mark) if *mark != record.mark => {
                    wrong
                        .examples
                        .push(format!("seq {} says something else than the journal", record.seq));
                    wrong.reordered += 1;
                }
                _ => {}
            }
        }
        // What the journal does not have has no span either.
        let invented = self.got.keys().filter(|seq| !known.contains(seq)).count() as u64;
        if invented > 0 {
            wrong.leaked += invented;
            wrong
                .examples
                .push(format!("{invented} entries came that the journal does not have"));
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::super::audit::Change;
    use super::*;

    const VISITOR: i64 = 7;

    fn journal() -> Vec<Record> {
        // In from 2 to 4, and from 6 on.
        (1..=8)
            .map(|seq| Record {
                seq,
                mark: (!matches!(seq, 2 | 4 | 6)).then(|| Mark::new(1, 0, seq as u32)),
                change: matches!(seq, 2 | 4 | 6).then_some(Change {
                    user_id: VISITOR,
                    joined: seq != 4,
                }),
            })
            .collect()
    }

    fn visit(seqs: &[i64]) -> Wrong {
        let journal = journal();
        let mut visit = Visit::default();
        visit.conversation(2);
        for seq in seqs {
            visit.entry(*seq, journal[*seq as usize - 1].mark);
        }
        Wrong {
            examples: Vec::new(),
            ..visit.judge(&Spans::of(VISITOR, &journal), &journal)
        }
    }

    #[test]
    fn spans_are_read_from_the_journal() {
        let spans = Spans::of(VISITOR, &journal());
        assert_eq!(spans, Spans(vec![2..=4, 6..=8]));
        assert_eq!(spans.len(), 2);
        assert!(!spans.contains(1) && spans.contains(2) && spans.contains(4));
        assert!(!spans.contains(5) && spans.contains(8));
        assert_eq!(Spans::of(8, &journal()), Spans(Vec::new()));
    }

    #[test]
    fn what_is_within_the_spans_and_nothing_else_passes() {
        assert_eq!(visit(&[2, 3, 4, 6, 7, 8]), Wrong::default());
    }

    #[test]
    fn each_kind_of_wrong_is_found() {
        let one = |wrong: Wrong| (wrong.lost, wrong.duplicated, wrong.reordered, wrong.leaked);
        assert_eq!(one(visit(&[2, 3, 4, 6, 8])), (1, 0, 0, 0));
        assert_eq!(one(visit(&[2, 3, 3, 4, 6, 7, 8])), (0, 1, 0, 0));
        assert_eq!(one(visit(&[2, 4, 3, 6, 7, 8])), (0, 0, 1, 0));
        assert_eq!(one(visit(&[2, 3, 4, 5, 6, 7, 8])), (0, 0, 0, 1));
        assert_eq!(one(visit(&[1, 2, 3, 4, 6, 7, 8])), (0, 0, 0, 1));
    }

    #[test]
    fn another_content_and_an_invented_entry_are_found() {
        let journal = journal();
        let spans = Spans::of(VISITOR, &journal);
        let mut visit = Visit::default();
        visit.conversation(6);
        visit.entry(6, None);
        visit.entry(7, Some(Mark::new(1, 0, 9)));
        visit.entry(8, journal[7].mark);
        visit.entry(9, None);
        let wrong = visit.judge(&spans, &journal);
        assert_eq!((wrong.lost, wrong.reordered, wrong.leaked), (0, 1, 1));
    }

    #[test]
    fn what_was_before_the_feed_is_not_missed() {
        let journal = journal();
        let mut visit = Visit::default();
        visit.conversation(7);
        visit.entry(7, journal[6].mark);
        visit.entry(8, journal[7].mark);
        let spans = Spans::of(VISITOR, &journal);
        assert_eq!(visit.judge(&spans, &journal), Wrong::default());
    }
}
