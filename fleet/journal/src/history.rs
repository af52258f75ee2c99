//! Reading entries. People see those within their spans of participation and no others (invariant I5).

use database::{Error, Transaction, params};
use proto::{ConversationId, Seq, UserId};

use crate::{
    Journal,
    damage::{self, MISSING},
    entry::{self, Entry, Seals},
    unclaimed::with_unclaimed,
};

const SPANS: &str = "SELECT from_seq, to_seq FROM participant
    WHERE conversation_id = $1 AND user_id = $2 ORDER BY from_seq";

const VISIBLE_SPANS: &str = "SELECT p.from_seq, COALESCE(p.to_seq, c.last_seq), p.to_seq IS NULL
    FROM participant p JOIN conversation c ON c.id = p.conversation_id
    WHERE p.conversation_id = $1 AND p.user_id = $2 ORDER BY p.from_seq";

const ENTRIES: &str = concat!(
    "SELECT ",
    entry::columns!(),
    " FROM entry WHERE conversation_id = $1 AND seq >= $2 AND seq <= $3 ORDER BY seq LIMIT $4"
);

const NEWEST_ENTRIES: &str = concat!(
    "SELECT ",
    entry::columns!(),
    " FROM entry WHERE conversation_id = $1 AND seq >= $2 AND seq <= $3 ORDER BY seq DESC LIMIT $4"
);

/// The same in a file: what is claimed and what is not.
macro_rules! entries_in_file {
    ($order:literal) => {
        concat!(
            with_unclaimed!("AND c.claimed_seq < $3"),
            "SELECT ",
            entry::columns_of_e!("i.seq"),
            " FROM entry_index i CROSS JOIN entry e ON e.id = i.entry_id
              WHERE i.conversation_id = $1 AND i.seq >= $2 AND i.seq <= $3
              UNION ALL SELECT ",
            entry::columns_of_e!("u.seq"),
            " FROM unclaimed u CROSS JOIN entry e ON e.id = u.id WHERE u.seq >= $2 AND u.seq <= $3 ORDER BY seq ",
            $order,
            "LIMIT $4"
        )
    };
}

const ENTRIES_IN_FILE: &str = entries_in_file!("");
const NEWEST_ENTRIES_IN_FILE: &str = entries_in_file!("DESC ");

/// Every statement here, for the tests that explain them.
pub(crate) const STATEMENTS: &[&str] = &[SPANS, VISIBLE_SPANS];
pub(crate) const STATEMENTS_OF_FILE: &[&str] = &[ENTRIES_IN_FILE, NEWEST_ENTRIES_IN_FILE];
pub(crate) const STATEMENTS_OF_SERVER: &[&str] = &[ENTRIES, NEWEST_ENTRIES];

/// A span of participation: both ends included; no end while the person is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The entry by which they joined.
    pub from: Seq,
    /// The entry by which they left.
    pub to: Option<Seq>,
}

impl Span {
    /// Whether an entry lies in it.
    pub fn contains(&self, seq: Seq) -> bool {
        self.from <= seq && self.to.is_none_or(|to| seq <= to)
    }
}

/// Which entries to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The oldest ones above a seq.
    After(Seq),
    /// The newest ones below a seq.
    Before(Seq),
}

/// Entries in the order of seq.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// What was found.
    pub entries: Vec<Entry>,
    /// More lie beyond, in the direction asked for.
    pub has_more: bool,
}

/// Entries for a session that is fed, in the order of seq.
#[derive(Clone, Debug, PartialEq)]
pub struct Feed {
    /// The entries found.
    pub entries: Vec<Entry>,
    /// With these entries the user has everything up to here.
    pub through: Seq,
    /// Whether `through` is short of what they may see.
    pub has_more: bool,
    /// Whether they had left when this was read; the entry by which they left is the last one they may see.
    pub has_left: bool,
}

impl Journal {
    /// The spans of a person in a conversation, in order; empty when they never were in it or it does not exist.
    ///
    /// # Errors
    /// As the database says.
    pub async fn spans(&self, conversation: ConversationId, user: UserId) -> Result<Vec<Span>, Error> {
        let rows = self
            .database
            .query(SPANS, params![conversation.get(), user.get()])
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Span {
                    from: Seq::from_database(row.get(0)?),
                    to: row.get::<Option<i64>>(1)?.map(Seq::from_database),
                })
            })
            .collect()
    }

    /// The same, an open one ended where the conversation stood at that moment, and whether it is open: whoever is removed
    /// right now must not see what is written between this statement and the next.
    async fn visible_spans(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<(Vec<Span>, bool), Error> {
        let rows = self
            .database
            .query(VISIBLE_SPANS, params![conversation.get(), user.get()])
            .await?;
        let is_in = rows.last().map_or(Ok(false), |row| row.get(2))?;
        let spans: Result<Vec<Span>, Error> = rows
            .iter()
            .map(|row| {
                Ok(Span {
                    from: Seq::from_database(row.get(0)?),
                    to: Some(Seq::from_database(row.get(1)?)),
                })
            })
            .collect();
        Ok((spans?, is_in))
    }

    /// The oldest entries above `after` that a user may see, at most `limit`, and how far they bring the user.
    ///
    /// # Errors
    /// [`crate::Error::NoAccess`] when they never were in the conversation or it does not exist.
    pub async fn feed(
        &self,
        conversation: ConversationId,
        user: UserId,
        after: Seq,
        limit: usize,
    ) -> Result<Feed, crate::Error> {
        let (spans, is_in) = self.visible_spans(conversation, user).await?;
        let end = spans
            .last()
            .and_then(|span| span.to)
            .ok_or(crate::Error::NoAccess)?;
        let page = self
            .visible(conversation, &spans, Direction::After(after), limit)
            .await?;
        let through = match page.entries.last() {
            Some(last) if page.has_more => last.seq,
            _ => end.max(after),
        };
        Ok(Feed {
            entries: page.entries,
            through,
            has_more: page.has_more,
            has_left: !is_in,
        })
    }

    /// Entries that a person may see, at most `limit`.
    ///
    /// # Errors
    /// [`crate::Error::NoAccess`] when they never were in the conversation or it does not exist.
    pub async fn history(
        &self,
        conversation: ConversationId,
        user: UserId,
        direction: Direction,
        limit: usize,
    ) -> Result<Page, crate::Error> {
        let (spans, _) = self.visible_spans(conversation, user).await?;
        if spans.is_empty() {
            return Err(crate::Error::NoAccess);
        }
        Ok(self.visible(conversation, &spans, direction, limit).await?)
    }

    async fn visible(
        &self,
        conversation: ConversationId,
        spans: &[Span],
        direction: Direction,
        limit: usize,
    ) -> Result<Page, Error> {
        let mut entries = Vec::new();
        for (low, high) in ranges(spans, direction) {
            let wanted = limit.saturating_add(1) - entries.len();
            let found = match direction {
                Direction::After(_) => self.entries(conversation, low, high, wanted).await?,
                Direction::Before(_) => self.newest_entries(conversation, low, high, wanted).await?,
            };
            entries.extend(found);
            if entries.len() > limit {
                break;
            }
        }
        let has_more = entries.len() > limit;
        entries.truncate(limit);
        if matches!(direction, Direction::Before(_)) {
            entries.reverse();
        }
        Ok(Page { entries, has_more })
    }

    /// Entries of a conversation whoever sees them, `low` to `high` included, the oldest `limit` of them in order.
    ///
    /// # Errors
    /// As the database says.
    pub async fn entries(
        &self,
        conversation: ConversationId,
        low: Seq,
        high: Seq,
        limit: usize,
    ) -> Result<Vec<Entry>, Error> {
        self.read_entries(conversation, low, high, limit, Order::OldestFirst)
            .await
    }

    async fn newest_entries(
        &self,
        conversation: ConversationId,
        low: Seq,
        high: Seq,
        limit: usize,
    ) -> Result<Vec<Entry>, Error> {
        self.read_entries(conversation, low, high, limit, Order::NewestFirst)
            .await
    }

    /// Seqs have no gaps (I2), so what is not found between `low` and `high` is not written yet, or damaged: `last_seq`, read
    /// before the entries, tells which.
    async fn read_entries(
        &self,
        conversation: ConversationId,
        low: Seq,
        high: Seq,
        limit: usize,
        order: Order,
    ) -> Result<Vec<Entry>, Error> {
        let low = low.max(Seq::ZERO.next());
        let found = self.select_entries(conversation, low, high, limit, order).await?;
        if order.first_missing(&found, low, high, limit).is_none() {
            return Ok(found);
        }
        let last = self.conversation(conversation).await?;
        let high = high.min(last.map_or(Seq::ZERO, |last| last.last_seq));
        let found = self.select_entries(conversation, low, high, limit, order).await?;
        match order.first_missing(&found, low, high, limit) {
            Some(seq) => Err(damage::tell(conversation, seq, MISSING)),
            None => Ok(found),
        }
    }

    async fn select_entries(
        &self,
        conversation: ConversationId,
        low: Seq,
        high: Seq,
        limit: usize,
        order: Order,
    ) -> Result<Vec<Entry>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let sql = match order {
            Order::OldestFirst => self.database.text(ENTRIES_IN_FILE, ENTRIES),
            Order::NewestFirst => self.database.text(NEWEST_ENTRIES_IN_FILE, NEWEST_ENTRIES),
        };
        let rows = self
            .database
            .query(sql, params![conversation.get(), low.get(), high.get(), limit])
            .await?;
        let seals = Seals::of(self.database.engine());
        rows.iter()
            .map(|row| Entry::from_row(row, conversation, seals))
            .collect()
    }

    /// Verifies one entry within a transaction.
    pub(crate) async fn verify_entry(
        &self,
        tx: &mut Transaction<'_>,
        conversation: ConversationId,
        seq: Seq,
    ) -> Result<(), Error> {
        let sql = tx.text(ENTRIES_IN_FILE, ENTRIES);
        let params = params![conversation.get(), seq.get(), seq.get(), 1_i64];
        match tx.query_first(sql, params).await? {
            Some(row) => Entry::from_row(&row, conversation, Seals::of(self.database.engine())).map(drop),
            None => Err(damage::tell(conversation, seq, MISSING)),
        }
    }
}

/// In which order entries are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    OldestFirst,
    NewestFirst,
}

impl Order {
    /// The first seq that is not there of those that must be: from one end of the range to the other, or `limit` of them.
    fn first_missing(self, found: &[Entry], low: Seq, high: Seq, limit: usize) -> Option<Seq> {
        self.first_missing_of(found.iter().map(|entry| entry.seq), low, high, limit)
    }

    fn first_missing_of(
        self,
        found: impl Iterator<Item = Seq>,
        low: Seq,
        high: Seq,
        limit: usize,
    ) -> Option<Seq> {
        if low > high {
            return None;
        }
        let mut found = found;
        let mut wanted = match self {
            Self::OldestFirst => low,
            Self::NewestFirst => high,
        };
        for _ in 0..limit {
            if found.next() != Some(wanted) {
                return Some(wanted);
            }
            wanted = match self {
                Self::OldestFirst if wanted < high => wanted.next(),
                Self::NewestFirst if wanted > low => wanted.previous(),
                _ => return None,
            };
        }
        None
    }
}

/// The seqs to read, as ranges with both ends included, nearest to where reading begins first.
fn ranges(spans: &[Span], direction: Direction) -> Vec<(Seq, Seq)> {
    const LAST: Seq = Seq::from_database(i64::MAX);
    let clip = |span: &Span| {
        let (low, high) = (span.from, span.to.unwrap_or(LAST));
        let (low, high) = match direction {
            Direction::After(after) => (low.max(Seq::from_database(after.get().saturating_add(1))), high),
            Direction::Before(before) => (low, high.min(before.previous())),
        };
        (low <= high).then_some((low, high))
    };
    let mut ranges: Vec<_> = spans.iter().filter_map(clip).collect();
    if matches!(direction, Direction::Before(_)) {
        ranges.reverse();
    }
    ranges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seq(seq: i64) -> Seq {
        Seq::from_database(seq)
    }

    /// Whatever is left out of a page is found, and nothing else is.
    #[test]
    fn a_page_with_a_hole_says_where() {
        for (low, high, limit) in [(1, 6, 10), (3, 9, 4), (5, 5, 1), (2, 4, 3)] {
            for order in [Order::OldestFirst, Order::NewestFirst] {
                let mut whole: Vec<Seq> = (low..=high).map(seq).collect();
                if order == Order::NewestFirst {
                    whole.reverse();
                }
                whole.truncate(limit);
                let missing =
                    |page: &[Seq]| order.first_missing_of(page.iter().copied(), seq(low), seq(high), limit);
                assert_eq!(missing(&whole), None);
                for at in 0..whole.len() {
                    let mut holed = whole.clone();
                    let gone = holed.remove(at);
                    assert_eq!(missing(&holed), Some(gone), "{low} {high} {limit} {order:?}");
                }
                let mut doubled = whole.clone();
                doubled.insert(0, whole[0]);
                doubled.truncate(limit);
                assert_eq!(missing(&doubled).is_some(), whole.len() > 1);
            }
        }
        assert_eq!(
            Order::OldestFirst.first_missing_of([].into_iter(), seq(4), seq(3), 9),
            None
        );
    }

    proptest! {
        #[test]
        fn ranges_hold_exactly_what_the_spans_hold(
            lengths in prop::collection::vec((1i64..6, 0i64..6), 1..5),
            open in any::<bool>(),
            at in 0i64..40,
            after in any::<bool>(),
        ) {
            let mut spans = Vec::new();
            let mut next = 1;
            for (gap, length) in &lengths {
                let from = next + gap;
                spans.push(Span { from: seq(from), to: Some(seq(from + length)) });
                next = from + length;
            }
            if open { spans.last_mut().unwrap().to = None; }
            let direction = if after { Direction::After(seq(at)) } else { Direction::Before(seq(at)) };
            let ranges = ranges(&spans, direction);
            for candidate in 0..60 {
                let expected = spans.iter().any(|span| span.contains(seq(candidate)))
                    && if after { candidate > at } else { candidate < at };
                let found = ranges.iter().any(|(low, high)| *low <= seq(candidate) && seq(candidate) <= *high);
                prop_assert_eq!(found, expected, "{}", candidate);
            }
        }
    }
}
