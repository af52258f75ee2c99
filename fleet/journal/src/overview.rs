//! Which conversations a person has or had, and what is new in them.

use database::{Error, params};
use proto::{
    ConversationId, Seq, UserId,
    wire::{EntryKind, Role},
};

use crate::{
    Journal,
    conversation::{self, Conversation},
    entry::enumeration,
    history::Span,
    unclaimed::with_unclaimed,
};

/// Unread messages are counted up to here; an app shows "99+".
pub const UNREAD_CAP: i64 = 100;

macro_rules! overviews {
    ($which:literal) => {
        concat!(
            "SELECT ",
            conversation::columns!(),
            ", p.from_seq, p.to_seq, p.role, m.received_seq, m.read_seq, p.changed_ms
             FROM participant p
             JOIN conversation c ON c.id = p.conversation_id
             LEFT JOIN mark m ON m.conversation_id = p.conversation_id AND m.user_id = p.user_id
             WHERE p.user_id = $1 ",
            $which,
            " ORDER BY p.conversation_id, p.from_seq"
        )
    };
}

const OVERVIEWS: &str = overviews!("");
const OVERVIEW: &str = overviews!("AND p.conversation_id = $2");

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
pub(crate) const STATEMENTS: &[&str] = &[OVERVIEWS, OVERVIEW];
pub(crate) const STATEMENTS_OF_FILE: &[&str] = &[UNREAD_IN_FILE];
pub(crate) const STATEMENTS_OF_SERVER: &[&str] = &[UNREAD];

/// A conversation as one person has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// The conversation.
    pub conversation: Conversation,
    /// Their spans in it, in order; never empty.
    pub spans: Vec<Span>,
    /// When each of the spans began, or ended if it has, epoch milliseconds.
    pub changed_ms: Vec<i64>,
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

    /// The first of their spans that began or ended at `since_ms` (epoch milliseconds) or later.
    pub fn changed_since(&self, since_ms: i64) -> Option<Span> {
        let at = self
            .changed_ms
            .iter()
            .position(|changed_ms| *changed_ms >= since_ms)?;
        self.spans.get(at).copied()
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
    /// Every conversation that a person is or was in, the most recently changed first.
    ///
    /// # Errors
    /// As the database says.
    pub async fn overviews(&self, user: UserId) -> Result<Vec<Overview>, Error> {
        self.read_overviews(user, None).await
    }

    /// One of them; none when they never were in it or it does not exist.
    ///
    /// # Errors
    /// As the database says.
    pub async fn overview(
        &self,
        user: UserId,
        conversation: ConversationId,
    ) -> Result<Option<Overview>, Error> {
        Ok(self
            .read_overviews(user, Some(conversation))
            .await?
            .into_iter()
            .next())
    }

    async fn read_overviews(
        &self,
        user: UserId,
        only: Option<ConversationId>,
    ) -> Result<Vec<Overview>, Error> {
        let sql = if only.is_some() { OVERVIEW } else { OVERVIEWS };
        let mut parameters = params![user.get()];
        parameters.extend(only.map(|only| only.get().into()));
        let mut overviews: Vec<Overview> = Vec::new();
        for row in self.database.query(sql, parameters).await? {
            let span = Span {
                from: Seq::from_database(row.get(8)?),
                to: row.get::<Option<i64>>(9)?.map(Seq::from_database),
            };
            let role = enumeration(row.get(10)?);
            let id: i64 = row.get(0)?;
            match overviews.last_mut() {
                Some(last) if last.conversation.id.get() == id => {
                    last.spans.push(span);
                    last.changed_ms.push(row.get(13)?);
                    last.role = role;
                }
                _ => overviews.push(Overview {
                    conversation: Conversation::from_row(&row)?,
                    spans: vec![span],
                    changed_ms: vec![row.get(13)?],
                    role,
                    received_seq: Seq::from_database(row.get::<Option<i64>>(11)?.unwrap_or(0)),
                    read_seq: Seq::from_database(row.get::<Option<i64>>(12)?.unwrap_or(0)),
                }),
            }
        }
        overviews.sort_by_key(|overview| std::cmp::Reverse(overview.conversation.updated_ms));
        Ok(overviews)
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
