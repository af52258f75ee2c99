//! The conversations that a user is or was in, and whether they hold news.

use std::{cmp::Reverse, pin::pin};

use database::{Error, Row, params};
use futures_util::{StreamExt, stream};
use proto::{
    ConversationId, Seq, UserId,
    wire::{EntryKind, Role},
};

use super::{Conversation, directory::Directory, machines::Machines, order};
use crate::{
    Journal,
    entry::enumeration,
    history::spans::{Span, disjoint, may_hide, reveals},
};

/// Unread messages are counted up to here; an app shows "99+".
pub const UNREAD_CAP: i64 = 100;

/// Spans in one read; those of one conversation are never split.
const ROWS: i64 = 200;

/// A conversation from one user's view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// The conversation.
    pub conversation: Conversation,
    /// Their stays in it, in order; never empty.
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

    /// The index of the first of their spans that began or ended at a horizon's number or later.
    pub fn changed_since(&self, number: i64) -> Option<usize> {
        self.span_nos.iter().position(|span_no| *span_no >= number)
    }

    // protocol: "there they begin at from_seq"
    /// The first entry after `reached` that they may see.
    pub fn first_visible_after(&self, reached: Seq) -> Option<Seq> {
        let first = |span: &Span| {
            let first = span.sees_from.max(reached.next());
            (first <= span.to.unwrap_or(self.conversation.last_seq)).then_some(first)
        };
        self.spans.iter().filter_map(first).min()
    }

    /// Whether a copy that ends with `have` lacks entries before that which they may see now: they were brought in again,
    /// and are shown what they were not before.
    pub fn reveals(&self, have: Seq) -> bool {
        reveals(&self.spans, have)
    }

    /// Whether any copy may lack such entries.
    pub fn may_hide(&self) -> bool {
        may_hide(&self.spans)
    }

    /// The first of the newest `limit` entries that they may see. Seqs are gap-free (I2), so this is arithmetic.
    pub fn newest_from(&self, limit: usize) -> Option<Seq> {
        let mut wanted = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut from = None;
        for (low, high) in disjoint(&self.spans) {
            let (low, high) = (low.get(), high.unwrap_or(self.conversation.last_seq).get());
            if wanted <= 0 || high < low {
                continue;
            }
            let first = low.max(high.saturating_sub(wanted - 1));
            wanted -= high - first + 1;
            from = Some(Seq::from_database(first));
        }
        from
    }

    /// The newest entry that they may see.
    pub fn last_visible(&self) -> Seq {
        self.spans
            .last()
            .and_then(|span| span.to)
            .unwrap_or(self.conversation.last_seq)
    }
}

/// A page of a user's conversations, from the newest id to the oldest.
#[derive(Debug)]
pub struct Page {
    /// Each conversation that could be read.
    pub overviews: Vec<Overview>,
    /// Those whose machine does not answer.
    pub missing: Vec<ConversationId>,
    /// The next page lies before this one; `None` when there is none.
    pub end: Option<ConversationId>,
}

impl Page {
    fn of(overviews: Vec<Overview>) -> Self {
        Self {
            end: overviews.last().map(|overview| overview.conversation.id),
            missing: Vec::new(),
            overviews,
        }
    }
}

impl Journal {
    /// A page of the conversations that a user is or was in: those with `from <= id < before`.
    ///
    /// # Errors
    /// As the database says.
    pub async fn overviews(
        &self,
        user: UserId,
        before: ConversationId,
        from: ConversationId,
    ) -> Result<Page, Error> {
        if let (Some(directory), Some(machines)) = (self.dialect.directory, &self.machines) {
            machines.look().await;
            let range = (before, from);
            return self
                .overviews_by_ids(directory.of_user, machines, user, range)
                .await;
        }
        let mut limit = ROWS;
        loop {
            let params = params![user.get(), before.get(), from.get(), limit];
            let rows = self.database.query(self.dialect.overviews, params).await?;
            let is_cut = rows.len() as i64 == limit;
            let mut overviews = group(&rows)?;
            if !is_cut {
                return Ok(Page::of(overviews));
            }
            // Spans of the last conversation may lie beyond the limit.
            if overviews.len() > 1 {
                overviews.pop();
                return Ok(Page::of(overviews));
            }
            limit *= 8;
        }
    }

    /// The same where a statement is to name the conversations. A conversation that the directory names and its machine does
    /// not have yet is of a transaction whose second phase is to come: the sweep finds it.
    async fn overviews_by_ids(
        &self,
        find: &'static str,
        machines: &Machines,
        user: UserId,
        (before, from): (ConversationId, ConversationId),
    ) -> Result<Page, Error> {
        let params = params![user.get(), before.get(), from.get(), Directory::PAGE];
        let found = self.database.query(find, params).await?;
        let ids = found
            .iter()
            .map(|row| row.get(0).map(ConversationId::from_database));
        let ids: Vec<ConversationId> = ids.collect::<Result<_, _>>()?;
        let mut page = Page {
            end: ids.last().copied(),
            missing: ids,
            overviews: Vec::new(),
        };
        // A machine that was away is asked once, and for the rest of its conversations when it has answered.
        for _ in 0..2 {
            let asked = std::mem::take(&mut page.missing).into_iter();
            let each = asked.map(async |id| (id, machines.ask(id, self.overview(user, id)).await));
            let mut each = pin!(stream::iter(each).buffered(Directory::BESIDE));
            while let Some((id, answer)) = each.next().await {
                match answer? {
                    Some(overview) => page.overviews.extend(overview),
                    None => page.missing.push(id),
                }
            }
        }
        page.overviews
            .sort_by_key(|overview| Reverse(overview.conversation.id));
        Ok(page)
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
        for (low, high) in disjoint(&overview.spans) {
            let low = low.max(overview.read_seq.next());
            // Not beyond the overview: the user may have been removed since.
            let high = high.unwrap_or(overview.conversation.last_seq);
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
        let span = Span::from_row(row, 10)?;
        let (conversation_no, span_no) = order::numbers(row, 16)?;
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
                role: enumeration(row.get(13)?),
                received_seq: Seq::from_database(row.get::<Option<i64>>(14)?.unwrap_or(0)),
                read_seq: Seq::from_database(row.get::<Option<i64>>(15)?.unwrap_or(0)),
            }),
        }
    }
    for overview in &mut overviews {
        overview.spans.reverse();
        overview.span_nos.reverse();
    }
    Ok(overviews)
}
