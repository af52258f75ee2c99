//! Which conversations a person has or had, and what is new in them.

use database::{Error, Row, params};
use proto::{
    ConversationId, Seq, UserId,
    wire::{EntryKind, Role},
};

use crate::{
    Journal,
    conversation::{self, Conversation},
    entry::enumeration,
    history::Span,
    order,
    unclaimed::with_unclaimed,
};

/// Unread messages are counted up to here; an app shows "99+".
pub const UNREAD_CAP: i64 = 100;

/// Rows of participation that are read at once; one conversation's are never cut.
const ROWS: i64 = 200;

macro_rules! overviews {
    ($order:expr) => {
        concat!(
            "SELECT ",
            conversation::columns!(),
            ", p.from_seq, p.to_seq, p.role, m.received_seq, m.read_seq, ",
            $order,
            " FROM participant p
             JOIN conversation c ON c.id = p.conversation_id
             LEFT JOIN mark m ON m.conversation_id = p.conversation_id AND m.user_id = p.user_id
             WHERE p.user_id = $1 "
        )
    };
}

/// From the newest conversation to the oldest, the newest span of each first: a walk of one index.
macro_rules! page {
    () => {
        "AND p.conversation_id < $2 AND p.conversation_id >= $3
         ORDER BY p.conversation_id DESC, p.from_seq DESC LIMIT $4"
    };
}
macro_rules! only {
    () => {
        "AND p.conversation_id = $2 ORDER BY p.from_seq DESC"
    };
}

const PAGE: &str = concat!(overviews!(order::columns!()), page!());
const PAGE_IN_FILE: &str = concat!(overviews!(order::columns_in_file!()), page!());
const OVERVIEW: &str = concat!(overviews!(order::columns!()), only!());
const OVERVIEW_IN_FILE: &str = concat!(overviews!(order::columns_in_file!()), only!());

const UNREAD: &str = "SELECT count(*) FROM (
    SELECT 1 FROM entry WHERE conversation_id = $1 AND seq >= $2 AND seq <= $3
       AND kind = $4 AND sender_id <> $5 AND NOT recalled LIMIT $6) AS new_messages";

const UNREAD_IN_FILE: &str = concat!(
    with_unclaimed!("AND c.claimed_seq < $3"),
    "SELECT count(*) FROM (
       SELECT 1 FROM entry_index i CROSS JOIN entry e ON e.id = i.entry_id
         WHERE i.conversation_id = $1 AND i.seq >= $2 AND i.seq <= $3
           AND e.kind = $4 AND e.sender_id <> $5 AND NOT e.recalled
       UNION ALL
       SELECT 1 FROM unclaimed u CROSS JOIN entry e ON e.id = u.id
         WHERE u.seq >= $2 AND u.seq <= $3 AND e.kind = $4 AND e.sender_id <> $5 AND NOT e.recalled
       LIMIT $6) AS new_messages"
);

/// Every statement here, for the tests that explain them.
pub(crate) const STATEMENTS_OF_FILE: &[&str] = &[PAGE_IN_FILE, OVERVIEW_IN_FILE, UNREAD_IN_FILE];
pub(crate) const STATEMENTS_OF_SERVER: &[&str] = &[PAGE, OVERVIEW, UNREAD];

/// A conversation as one person has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// The conversation.
    pub conversation: Conversation,
    /// Their spans in it, in order; never empty.
    pub spans: Vec<Span>,
    /// The number (see [`crate::order`]) of the beginning or the end of each span, whichever is newer.
    pub span_nos: Vec<i64>,
    /// The number of the newest entry that they may see, or a greater one.
    pub changed_no: i64,
    /// Their role in the last span.
    pub role: Role,
    /// Up to where their devices have everything.
    pub received_seq: Seq,
    /// Up to where they have read.
    pub read_seq: Seq,
}

impl Overview {
    /// Whether they are in it now.
    pub fn is_in(&self) -> bool {
        self.spans.last().is_some_and(|span| span.to.is_none())
    }

    /// The first of their spans that began or ended at a horizon's number or later.
    pub fn changed_since(&self, number: i64) -> Option<Span> {
        let at = self.span_nos.iter().position(|span_no| *span_no >= number)?;
        self.spans.get(at).copied()
    }

    /// The first entry after `reached` that they may see.
    pub fn first_visible_after(&self, reached: Seq) -> Option<Seq> {
        self.spans.iter().find_map(|span| {
            let first = span.from.max(reached.next());
            (first <= span.to.unwrap_or(self.conversation.last_seq)).then_some(first)
        })
    }

    /// The newest entry that they may see.
    pub fn last_visible(&self) -> Seq {
        self.spans
            .last()
            .and_then(|span| span.to)
            .unwrap_or(self.conversation.last_seq)
    }
}

impl Journal {
    /// A page of the conversations that a user is or was in, from the newest id to the oldest: those with
    /// `from <= id < before`. Empty when there are none; the next page lies before the last one.
    ///
    /// # Errors
    /// As the database says.
    pub async fn overviews(
        &self,
        user: UserId,
        before: ConversationId,
        from: ConversationId,
    ) -> Result<Vec<Overview>, Error> {
        let sql = self.database.text(PAGE_IN_FILE, PAGE);
        let mut limit = ROWS;
        loop {
            let params = params![user.get(), before.get(), from.get(), limit];
            let rows = self.database.query(sql, params).await?;
            let is_cut = rows.len() as i64 == limit;
            let mut overviews = group(&rows)?;
            if !is_cut {
                return Ok(overviews);
            }
            // Rows of the last one may lie beyond the limit.
            if overviews.len() > 1 {
                overviews.pop();
                return Ok(overviews);
            }
            limit *= 8;
        }
    }

    /// One of them; `None` when the user never was in it or it does not exist.
    ///
    /// # Errors
    /// As the database says.
    pub async fn overview(
        &self,
        user: UserId,
        conversation: ConversationId,
    ) -> Result<Option<Overview>, Error> {
        let sql = self.database.text(OVERVIEW_IN_FILE, OVERVIEW);
        let rows = self
            .database
            .query(sql, params![user.get(), conversation.get()])
            .await?;
        Ok(group(&rows)?.into_iter().next())
    }

    /// Messages of others that a person may see and has not read, at most [`UNREAD_CAP`], as of the overview.
    ///
    /// # Errors
    /// As the database says.
    pub async fn unread(&self, user: UserId, overview: &Overview) -> Result<i64, Error> {
        let mut unread = 0;
        for span in overview.spans.iter().rev() {
            let low = span.from.max(overview.read_seq.next());
            // Not further than the overview saw: they may have been removed since.
            let high = span.to.unwrap_or(overview.conversation.last_seq);
            if low > high || unread >= UNREAD_CAP {
                continue;
            }
            let row = self
                .database
                .query_first(
                    self.database.text(UNREAD_IN_FILE, UNREAD),
                    params![
                        overview.conversation.id.get(),
                        low.get(),
                        high.get(),
                        i64::from(EntryKind::Message as i32),
                        user.get(),
                        UNREAD_CAP - unread
                    ],
                )
                .await?;
            unread += row.map_or(Ok(0), |row| row.get(0))?;
        }
        Ok(unread)
    }
}

/// Overviews from rows in which a conversation's stand together, its newest span first.
fn group(rows: &[Row]) -> Result<Vec<Overview>, Error> {
    let mut overviews: Vec<Overview> = Vec::new();
    for row in rows {
        let span = Span {
            from: Seq::from_database(row.get(8)?),
            to: row.get::<Option<i64>>(9)?.map(Seq::from_database),
        };
        let (conversation_no, span_no) = order::numbers(row, 13)?;
        let id: i64 = row.get(0)?;
        match overviews.last_mut() {
            Some(last) if last.conversation.id.get() == id => {
                last.spans.push(span);
                last.span_nos.push(span_no);
            }
            _ => overviews.push(Overview {
                conversation: Conversation::from_row(row)?,
                spans: vec![span],
                span_nos: vec![span_no],
                // After the end of the last span nothing is theirs to see.
                changed_no: if span.to.is_none() {
                    conversation_no
                } else {
                    span_no
                },
                role: enumeration(row.get(10)?),
                received_seq: Seq::from_database(row.get::<Option<i64>>(11)?.unwrap_or(0)),
                read_seq: Seq::from_database(row.get::<Option<i64>>(12)?.unwrap_or(0)),
            }),
        }
    }
    for overview in &mut overviews {
        overview.spans.reverse();
        overview.span_nos.reverse();
    }
    Ok(overviews)
}
