//! The rows of a list of conversations: the last message and the deadline of each, and how much is unread.
//!
//! The statements are as many for fifty conversations as for one.

use std::{collections::BTreeMap, fmt::Write as _};

use database::{Error, Row, Value, params};
use proto::{ConversationId, UserId};

use super::{Deadline, overview::UNREAD_CAP};
use crate::{
    Journal,
    entry::{self, Entry},
};

/// Conversations, or ranges of them, in one statement. A shorter list is padded, so that one text is prepared.
const AT_ONCE: usize = 50;
/// Parameters of a range.
const OF_RANGE: usize = 5;
/// Where the columns of a range begin, after those of the entry.
const RANGE: usize = 13;

/// A conversation, as a row of a user's list shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Glimpse {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its next deadline.
    pub deadline: Option<Deadline>,
    /// Their part of it; `None` when they never were in it.
    pub seen: Option<Seen>,
}

/// The part of a conversation that a user may see.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// The newest message: show it only through [`Entry::into_wire`].
    pub last_message: Option<Entry>,
    /// The name of its sender in the conversation; empty when none was written down.
    pub sender_name: String,
    /// Messages of others that they have not read, at most [`UNREAD_CAP`].
    pub unread: i64,
}

/// Entries that a user may see, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    conversation: i64,
    low: i64,
    high: i64,
    /// The first one that may be unread.
    unread_from: i64,
}

/// How an engine looks at ranges of entries.
#[derive(Clone, Copy)]
pub(crate) enum Look {
    /// At many of them in one statement, whose parts are the engine's: of a range `v` its newest message, as the engine finds
    /// an entry; how it names entry `e`; messages of others than $1 from unread_from on, counted up to 100.
    Together([&'static str; 3]),
    /// At each by a statement of its own, $1 to $6: user, at, conversation, low, high, unread_from. Ranges without a message
    /// have no row.
    Each(&'static str),
}

impl Look {
    fn at_once(self) -> usize {
        match self {
            Self::Together(_) => AT_ONCE,
            Self::Each(_) => 1,
        }
    }

    fn sql(self) -> String {
        match self {
            Self::Together(parts) => ranges_sql(parts),
            Self::Each(sql) => sql.to_owned(),
        }
    }
}

/// Every statement here.
pub(crate) fn statements(look: Look) -> [String; 2] {
    [conversations_sql(), look.sql()]
}

fn conversations_sql() -> String {
    let places: Vec<String> = (2..AT_ONCE + 2).map(|at| format!("${at}")).collect();
    format!(
        "SELECT c.id, c.last_seq, c.deadline_kind, c.deadline_ms, COALESCE(p.sees_from_seq, p.from_seq), p.to_seq, m.read_seq
         FROM conversation c
         LEFT JOIN participant p ON p.conversation_id = c.id AND p.user_id = $1
         LEFT JOIN mark m ON m.conversation_id = c.id AND m.user_id = $1
         WHERE c.id IN ({})",
        places.join(", ")
    )
}

/// The parts are the engine's.
fn ranges_sql([last_message, entry_of_last, unread]: [&str; 3]) -> String {
    let mut rows = String::new();
    for range in 0..AT_ONCE {
        let first = range * OF_RANGE + 2;
        let places: Vec<String> = (first..first + OF_RANGE)
            .map(|at| format!("CAST(${at} AS BIGINT)"))
            .collect();
        let comma = if range == 0 { "" } else { ", " };
        let _ = write!(rows, "{comma}({})", places.join(", "));
    }
    format!(
        "WITH v (at, conversation, low, high, unread_from) AS (VALUES {rows})
         SELECT {}, w.at, w.unread,
           (SELECT p.name FROM participant p WHERE p.conversation_id = e.conversation_id AND p.user_id = e.sender_id
            ORDER BY p.from_seq DESC LIMIT 1)
         FROM (SELECT v.at, v.conversation, {unread} AS unread, {last_message} AS last_entry FROM v) AS w
         LEFT JOIN entry e ON {entry_of_last}",
        entry::columns!()
    )
}

impl Journal {
    /// The rows of a user's list for conversations, whether the user is in them or not. Those that do not exist are absent.
    ///
    /// # Errors
    /// As the database says.
    pub async fn glimpses(
        &self,
        user: UserId,
        conversations: &[ConversationId],
    ) -> Result<BTreeMap<ConversationId, Glimpse>, Error> {
        let mut glimpses = BTreeMap::new();
        let mut ranges = Vec::new();
        for chunk in conversations.chunks(AT_ONCE) {
            let mut params = params![user.get()];
            params.extend((0..AT_ONCE).map(|at| Value::from(chunk[at.min(chunk.len() - 1)].get())));
            let rows = self.database.query(conversations_sql(), params).await?;
            ranges.extend(visible(&rows, &mut glimpses)?);
        }
        for chunk in ranges.chunks(self.dialect.glimpse.at_once()) {
            self.look(user, chunk, &mut glimpses).await?;
        }
        Ok(glimpses)
    }

    async fn look(
        &self,
        user: UserId,
        ranges: &[Range],
        glimpses: &mut BTreeMap<ConversationId, Glimpse>,
    ) -> Result<(), Error> {
        let mut params = params![user.get()];
        for at in 0..self.dialect.glimpse.at_once() {
            params.extend(match ranges.get(at) {
                Some(range) => params![
                    at as i64,
                    range.conversation,
                    range.low,
                    range.high,
                    range.unread_from
                ],
                // Holds nothing.
                None => params![-1_i64, 0_i64, 1_i64, 0_i64, 1_i64],
            });
        }
        for row in self.database.query(self.dialect.glimpse.sql(), params).await? {
            let at: i64 = row.get(RANGE)?;
            let Some(range) = usize::try_from(at).ok().and_then(|at| ranges.get(at)) else {
                continue;
            };
            let conversation = ConversationId::from_database(range.conversation);
            let Some(seen) = glimpses
                .get_mut(&conversation)
                .and_then(|glimpse| glimpse.seen.as_mut())
            else {
                continue;
            };
            let unread: i64 = row.get(RANGE + 1)?;
            seen.unread = UNREAD_CAP.min(seen.unread + unread);
            if row.get::<Option<i64>>(0)?.is_none() {
                continue;
            }
            let entry = Entry::from_row(&row, conversation, self.dialect.checksums)?;
            if seen.last_message.as_ref().is_none_or(|last| last.seq < entry.seq) {
                seen.last_message = Some(entry);
                seen.sender_name = row.get::<Option<String>>(RANGE + 2)?.unwrap_or_default();
            }
        }
        Ok(())
    }
}

/// Notes the conversations of rows, and returns the ranges that the user may see: apart from each other, so that nothing is
/// counted twice.
fn visible(rows: &[Row], glimpses: &mut BTreeMap<ConversationId, Glimpse>) -> Result<Vec<Range>, Error> {
    let mut ranges = Vec::new();
    for row in rows {
        let conversation = ConversationId::from_database(row.get(0)?);
        let (kind, due_ms): (Option<String>, Option<i64>) = (row.get(2)?, row.get(3)?);
        let low: Option<i64> = row.get(4)?;
        glimpses.insert(
            conversation,
            Glimpse {
                conversation,
                deadline: super::deadline(kind, due_ms),
                seen: low.map(|_| Seen::default()),
            },
        );
        let Some(low) = low else {
            continue;
        };
        let last: i64 = row.get(1)?;
        let read: i64 = row.get::<Option<i64>>(6)?.unwrap_or(0);
        ranges.push(Range {
            conversation: conversation.get(),
            low,
            high: row.get::<Option<i64>>(5)?.unwrap_or(last),
            unread_from: low.max(read + 1),
        });
    }
    Ok(apart(ranges))
}

fn apart(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_by_key(|range| (range.conversation, range.low));
    let mut apart: Vec<Range> = Vec::new();
    for range in ranges {
        match apart.last_mut() {
            Some(last) if last.conversation == range.conversation && range.low <= last.high + 1 => {
                last.high = last.high.max(range.high);
            }
            _ => apart.push(range),
        }
    }
    apart
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(conversation: i64, low: i64, high: i64) -> Range {
        Range {
            conversation,
            low,
            high,
            unread_from: low,
        }
    }

    #[test]
    fn ranges_that_meet_are_one() {
        let given = vec![range(1, 9, 12), range(1, 1, 5), range(2, 1, 12), range(1, 4, 7)];
        assert_eq!(
            apart(given),
            [range(1, 1, 7), range(1, 9, 12), range(2, 1, 12)],
            "6 and 7 are seen twice, 8 not at all"
        );
        assert_eq!(apart(vec![range(1, 1, 5), range(1, 6, 7)]), [range(1, 1, 7)]);
    }
}
