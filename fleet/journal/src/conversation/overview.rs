//! The conversations that a user is or was in, and whether they hold news.

use database::{Error, Row, params};
use proto::{
    ConversationId, Seq, UserId,
    wire::{EntryKind, Role},
};

use super::{Conversation, order};
use crate::{Journal, entry::enumeration, history::Span};

/// Unread messages are counted up to here; an app shows "99+".
pub const UNREAD_CAP: i64 = 100;

/// Spans in one read; those of one conversation are never split.
const ROWS: i64 = 200;

/// A conversation from one user's view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// The conversation.
    pub conversation: Conversation,
    /// Their spans in it, in order; never empty.
    pub spans: Vec<Span>,
    /// The number (see [`super::order`]) of each span's beginning or end, the newer one.
    pub span_nos: Vec<i64>,
    /// The number of the newest entry that they may see, or a greater one.
    pub changed_no: i64,
    /// Their role in the last span.
    pub role: Role,
    /// Their devices have all entries through this one.
    pub received_seq: Seq,
    /// They have read all entries through this one.
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

    // protocol: "there they begin at from_seq"
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
        let mut limit = ROWS;
        loop {
            let params = params![user.get(), before.get(), from.get(), limit];
            let rows = self.database.query(self.dialect.overviews, params).await?;
            let is_cut = rows.len() as i64 == limit;
            let mut overviews = group(&rows)?;
            if !is_cut {
                return Ok(overviews);
            }
            // Spans of the last conversation may lie beyond the limit.
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
        let params = params![user.get(), conversation.get()];
        let rows = self.database.query(self.dialect.overview, params).await?;
        Ok(group(&rows)?.into_iter().next())
    }

    /// Messages of others that a user may see and has not read, at most [`UNREAD_CAP`], as of the overview.
    ///
    /// # Errors
    /// As the database says.
    pub async fn unread(&self, user: UserId, overview: &Overview) -> Result<i64, Error> {
        let mut unread = 0;
        for span in overview.spans.iter().rev() {
            let low = span.from.max(overview.read_seq.next());
            // Not beyond the overview: the user may have been removed since.
            let high = span.to.unwrap_or(overview.conversation.last_seq);
            if low > high || unread >= UNREAD_CAP {
                continue;
            }
            let row = self
                .database
                .query_first(
                    self.dialect.unread,
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

/// Groups rows by conversation; the rows of one are adjacent, its newest span first.
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
                // They see nothing after the end of their last span.
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
