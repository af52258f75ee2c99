//! Reading entries. A user sees those that their spans of participation show and no others (invariant I5).

mod corrected;
mod media;
mod read;
pub mod spans;
pub mod written;

use database::{Error, params};
use proto::{ConversationId, Seq, UserId};

use self::spans::{Span, disjoint};
use crate::{Journal, entry::Entry};

/// Entries of a page where bytes are bounded: what a client asks for by default, and the one beyond that shows that there are
/// more. So the usual request is one statement, and few large bodies are read in vain.
const PAGE: usize = 51;

const SPANS: &str = "SELECT from_seq, to_seq, sees_from_seq FROM participant
    WHERE conversation_id = $1 AND user_id = $2 ORDER BY from_seq";

const VISIBLE_SPANS: &str =
    "SELECT p.from_seq, COALESCE(p.to_seq, c.last_seq), p.sees_from_seq, p.to_seq IS NULL
    FROM participant p JOIN conversation c ON c.id = p.conversation_id
    WHERE p.conversation_id = $1 AND p.user_id = $2 ORDER BY p.from_seq";

/// Every statement here.
pub(crate) const STATEMENTS: &[&[&str]] = &[
    &[SPANS, VISIBLE_SPANS],
    corrected::STATEMENTS,
    written::STATEMENTS,
];

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
    /// The entries found.
    pub entries: Vec<Entry>,
    /// Whether more follow in that direction.
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
    /// Whether they had left at that moment; the entry of their leaving is the last one they may see.
    pub has_left: bool,
    /// Their spans at that moment, each with its end.
    pub spans: Vec<Span>,
}

impl Journal {
    /// The spans of a user in a conversation, in order; empty when they never were in it or it does not exist.
    ///
    /// # Errors
    /// As the database says.
    pub async fn spans(&self, conversation: ConversationId, user: UserId) -> Result<Vec<Span>, Error> {
        let rows = self
            .database
            .query(SPANS, params![conversation.get(), user.get()])
            .await?;
        rows.iter().map(|row| Span::from_row(row, 0)).collect()
    }

    // protocol: "keeps seeing the entries up to their leaving"
    // protocol: "A user who rejoins sees the entries of all their stays"
    // protocol: "Sync and History return them"
    /// The same with an open span closed at `last_seq`, and whether it was open. A user who is removed before the next
    /// statement must not see entries that are written in between.
    async fn visible_spans(
        &self,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<(Vec<Span>, bool), Error> {
        let rows = self
            .database
            .query(VISIBLE_SPANS, params![conversation.get(), user.get()])
            .await?;
        let is_in = rows.last().map_or(Ok(false), |row| row.get(3))?;
        let spans: Result<Vec<Span>, Error> = rows.iter().map(|row| Span::from_row(row, 0)).collect();
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
        let bounds = Bounds::entries(limit);
        let page = self
            .visible(conversation, &spans, Direction::After(after), bounds)
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
            spans,
        })
    }

    /// Entries that a user may see, at most `limit`.
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
        self.history_within(conversation, user, direction, Bounds::entries(limit))
            .await
    }

    /// The same within bounds of entries and bytes. The last page read may exceed the bytes: the caller cuts it.
    ///
    /// # Errors
    /// As [`Self::history`].
    pub async fn history_within(
        &self,
        conversation: ConversationId,
        user: UserId,
        direction: Direction,
        bounds: Bounds,
    ) -> Result<Page, crate::Error> {
        let (spans, _) = self.visible_spans(conversation, user).await?;
        if spans.is_empty() {
            return Err(crate::Error::NoAccess);
        }
        Ok(self.visible(conversation, &spans, direction, bounds).await?)
    }

    async fn visible(
        &self,
        conversation: ConversationId,
        spans: &[Span],
        direction: Direction,
        bounds: Bounds,
    ) -> Result<Page, Error> {
        let mut reading = Reading::new(bounds);
        for range in ranges(spans, direction) {
            let mut rest = Some(range);
            while let Some((low, high)) = rest {
                let Some(wanted) = reading.wanted() else {
                    return Ok(reading.page(direction, true));
                };
                let found = match direction {
                    Direction::After(_) => self.entries(conversation, low, high, wanted).await?,
                    Direction::Before(_) => self.newest_entries(conversation, low, high, wanted).await?,
                };
                rest = found
                    .last()
                    .filter(|_| found.len() == wanted)
                    .map(|last| match direction {
                        Direction::After(_) => (last.seq.next(), high),
                        Direction::Before(_) => (low, last.seq.previous()),
                    })
                    .filter(|(low, high)| low <= high);
                reading.add(found);
            }
        }
        Ok(reading.page(direction, false))
    }
}

/// How much of a conversation is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Entries at most.
    pub entries: usize,
    /// Bytes of bodies beyond which no further page is read.
    pub bytes: usize,
}

impl Bounds {
    const fn entries(entries: usize) -> Self {
        Self {
            entries,
            bytes: usize::MAX,
        }
    }
}

/// Entries as they are read, page by page.
struct Reading {
    bounds: Bounds,
    entries: Vec<Entry>,
    bytes: usize,
    /// Entries of a page.
    page: usize,
}

impl Reading {
    fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            entries: Vec::new(),
            bytes: 0,
            page: match bounds.bytes {
                usize::MAX => usize::MAX,
                _ => PAGE,
            },
        }
    }

    /// Entries to read next; `None` when it is enough. One beyond the bounds shows that there are more.
    fn wanted(&self) -> Option<usize> {
        let left = self.bounds.entries.saturating_add(1) - self.entries.len();
        (left > 0 && self.bytes <= self.bounds.bytes).then(|| left.min(self.page))
    }

    fn add(&mut self, found: Vec<Entry>) {
        self.bytes += found.iter().map(|entry| entry.body.len()).sum::<usize>();
        self.entries.extend(found);
    }

    fn page(self, direction: Direction, is_cut: bool) -> Page {
        let has_more = is_cut || self.entries.len() > self.bounds.entries;
        let mut entries = self.entries;
        entries.truncate(self.bounds.entries);
        if matches!(direction, Direction::Before(_)) {
            entries.reverse();
        }
        Page { entries, has_more }
    }
}

/// The ranges to read, both ends included, in the order of reading.
fn ranges(spans: &[Span], direction: Direction) -> Vec<(Seq, Seq)> {
    const LAST: Seq = Seq::from_database(i64::MAX);
    let clip = |(low, high): (Seq, Option<Seq>)| {
        let high = high.unwrap_or(LAST);
        let (low, high) = match direction {
            Direction::After(after) => (low.max(Seq::from_database(after.get().saturating_add(1))), high),
            Direction::Before(before) => (low, high.min(before.previous())),
        };
        (low <= high).then_some((low, high))
    };
    let mut ranges: Vec<_> = disjoint(spans).filter_map(clip).collect();
    if matches!(direction, Direction::After(_)) {
        ranges.reverse();
    }
    ranges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{spans::tests::stays, *};

    fn seq(seq: i64) -> Seq {
        Seq::from_database(seq)
    }

    proptest! {
        #[test]
        fn ranges_hold_exactly_what_the_spans_show(spans in stays(), at in 0i64..40, after in any::<bool>()) {
            let direction = if after { Direction::After(seq(at)) } else { Direction::Before(seq(at)) };
            let ranges = ranges(&spans, direction);
            for candidate in 0..60 {
                let expected = spans.iter().any(|span| span.shows(seq(candidate)))
                    && if after { candidate > at } else { candidate < at };
                let found = ranges.iter().filter(|(low, high)| *low <= seq(candidate) && seq(candidate) <= *high);
                prop_assert_eq!(found.count(), usize::from(expected), "{}", candidate);
            }
            let ordered = match after {
                true => ranges.is_sorted_by(|earlier, later| earlier.1 < later.0),
                false => ranges.is_sorted_by(|later, earlier| earlier.1 < later.0),
            };
            prop_assert!(ordered, "{:?}", ranges);
        }
    }
}
