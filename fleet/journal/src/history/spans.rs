//! Spans of participation, and what they show. A user who is brought in may see entries of before, so spans overlap: each
//! reader of entries asks [`disjoint`] (invariant I5).

use database::{Error, Row};
use proto::Seq;

/// A stay of a user in a conversation, both ends included; open while they are in. Of one user the stays follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The entry by which they joined.
    pub from: Seq,
    /// The entry by which they left.
    pub to: Option<Seq>,
    /// The first entry that it shows, not beyond `from`.
    pub sees_from: Seq,
}

impl Span {
    /// From three columns: from_seq, to_seq and sees_from_seq, which releases before 2026-12 left empty.
    pub(crate) fn from_row(row: &Row, at: usize) -> Result<Self, Error> {
        let from = Seq::from_database(row.get(at)?);
        Ok(Self {
            from,
            to: row.get::<Option<i64>>(at + 1)?.map(Seq::from_database),
            sees_from: row.get::<Option<i64>>(at + 2)?.map_or(from, Seq::from_database),
        })
    }

    /// Whether it shows an entry.
    pub fn shows(&self, seq: Seq) -> bool {
        self.sees_from <= seq && self.to.is_none_or(|to| seq <= to)
    }
}

/// The entries that a user's spans show, as ranges without overlap, the newest first; both ends are included, and only the first
/// one may have no end.
pub fn disjoint(spans: &[Span]) -> impl Iterator<Item = (Seq, Option<Seq>)> {
    let mut above: Option<Seq> = None;
    spans.iter().rev().filter_map(move |span| {
        let to = match above {
            None => span.to,
            Some(above) => Some(span.to.map_or(above.previous(), |to| to.min(above.previous()))),
        };
        if to.is_some_and(|to| to < span.sees_from) {
            return None;
        }
        above = Some(span.sees_from);
        Some((span.sees_from, to))
    })
}

/// How many entries up to `last` the spans show: seqs are gap-free (I2).
pub fn count(spans: &[Span], last: Seq) -> i64 {
    let ranges = disjoint(spans);
    ranges
        .map(|(low, high)| (high.map_or(last, |high| high.min(last)).get() - low.get() + 1).max(0))
        .sum()
}

/// Whether spans after the first `before` ones show an entry up to `have` that those do not.
pub fn reveal_since(spans: &[Span], before: usize, have: Seq) -> bool {
    spans
        .get(..before)
        .is_some_and(|earlier| count(earlier, have) < count(spans, have))
}

/// Whether a copy that ends with `have` may lack entries before that: those that only a later stay shows. The copy was made in
/// the stay that holds `have`, or after it.
pub fn reveals(spans: &[Span], have: Seq) -> bool {
    let made_in = spans.iter().position(|span| span.to.is_none_or(|to| have <= to));
    made_in.is_some_and(|at| reveal_since(spans, at + 1, have))
}

/// Whether there is such an end of a copy.
pub fn may_hide(spans: &[Span]) -> bool {
    spans
        .iter()
        .filter_map(|span| span.to)
        .any(|to| reveals(spans, to))
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn seq(seq: i64) -> Seq {
        Seq::from_database(seq)
    }

    /// The stays of a user; each shows its own entries, or all.
    pub(in super::super) fn stays() -> impl Strategy<Value = Vec<Span>> {
        let stay = (1i64..6, 0i64..6, any::<bool>());
        (prop::collection::vec(stay, 1..5), any::<bool>()).prop_map(|(lengths, open)| {
            let mut spans = Vec::new();
            let mut next = 1;
            for (gap, length, all) in lengths {
                let from = next + gap;
                next = from + length;
                spans.push(Span {
                    from: seq(from),
                    to: Some(seq(next)),
                    sees_from: if all { seq(1) } else { seq(from) },
                });
            }
            if open && let Some(last) = spans.last_mut() {
                last.to = None;
            }
            spans
        })
    }

    fn shown(spans: &[Span], through: i64) -> BTreeSet<i64> {
        (1..=through)
            .filter(|at| spans.iter().any(|span| span.shows(seq(*at))))
            .collect()
    }

    proptest! {
        #[test]
        fn a_count_is_the_number_of_entries_shown(spans in stays(), last in 0i64..50) {
            prop_assert_eq!(count(&spans, seq(last)), shown(&spans, last).len() as i64);
        }

        /// A copy that was made in the stay of its end lacks something exactly when a later stay shows it.
        #[test]
        fn a_copy_lacks_what_later_stays_show(spans in stays(), have in 1i64..50) {
            let made_in = spans.iter().position(|span| span.to.is_none_or(|to| have <= to.get()));
            let expected = made_in.is_some_and(|at| shown(&spans[..=at], have) != shown(&spans, have));
            prop_assert_eq!(reveals(&spans, seq(have)), expected);
            prop_assert!(!expected || may_hide(&spans));
        }
    }

    fn span(from: i64, to: Option<i64>, sees_from: i64) -> Span {
        Span {
            from: seq(from),
            to: to.map(seq),
            sees_from: seq(sees_from),
        }
    }

    #[test]
    fn a_stay_after_another_continues_the_copy_of_one_who_saw_all() {
        let spans = [span(3, Some(7), 1), span(12, None, 1)];
        assert!(!may_hide(&spans));
        assert_eq!(disjoint(&spans).collect::<Vec<_>>(), [(seq(1), None)]);
    }

    #[test]
    fn a_stay_that_shows_all_fills_the_holes_of_others() {
        let spans = [span(3, Some(7), 3), span(12, Some(14), 12), span(20, None, 1)];
        let revealing: Vec<i64> = (1..25).filter(|have| reveals(&spans, seq(*have))).collect();
        // A copy up to 15 or more has seen the last stay begin.
        assert_eq!(revealing, (1..=14).collect::<Vec<_>>());
        let apart = &spans[..2];
        assert!(!may_hide(apart), "two stays from now on reveal nothing");
        assert_eq!(
            disjoint(apart).collect::<Vec<_>>(),
            [(seq(12), Some(seq(14))), (seq(3), Some(seq(7)))]
        );
    }
}
