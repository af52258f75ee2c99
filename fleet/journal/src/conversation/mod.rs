//! A conversation: its state, its participants, their marks, and each user's overview.

pub mod clocks;
pub(crate) mod directory;
pub mod glimpse;
pub mod hidden;
pub(crate) mod machines;
pub mod marks;
pub mod order;
pub mod overview;
mod participant;

use database::{Error, Row, Value, params};
use proto::{ConversationId, Seq, wire::ConversationKind};

pub use self::participant::{Change, Participant};
use crate::{Journal, entry::enumeration};

/// A conversation, at one seq.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// Its kind.
    pub kind: ConversationKind,
    /// The consult that it belongs to.
    pub consult_id: Option<i64>,
    /// Advances when a restore or a failover has lost commits.
    pub epoch: i64,
    /// Whether it accepts messages.
    pub open: bool,
    /// Its title.
    pub title: String,
    /// The newest entry.
    pub last_seq: Seq,
    /// The time of the last write, epoch milliseconds.
    pub updated_ms: i64,
    /// Its next deadline.
    pub deadline: Option<Deadline>,
}

/// A promise of time, the same for everybody in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// As in the wire's DeadlineEvent.
    pub kind: String,
    /// When it is due, epoch milliseconds.
    pub due_ms: i64,
}

/// The columns of [`Conversation::from_row`].
macro_rules! columns {
    () => {
        "c.id, c.kind, c.consult_id, c.epoch, c.open, c.title, c.last_seq, c.updated_ms,
         c.deadline_kind, c.deadline_ms"
    };
}
pub(crate) use columns;

const CONVERSATION: &str = concat!("SELECT ", columns!(), " FROM conversation c WHERE c.id = $1");

/// Ids in one statement. A shorter list is padded by repeating its last id, so that one text is prepared.
const IDS_AT_ONCE: usize = 200;

/// Every statement of this folder.
pub(crate) const STATEMENTS: &[&[&str]] = &[
    &[CONVERSATION],
    clocks::STATEMENTS,
    hidden::STATEMENTS,
    marks::STATEMENTS,
    order::STATEMENTS,
    participant::STATEMENTS,
];

pub(crate) fn last_seqs_sql() -> String {
    format!(
        "SELECT id, last_seq FROM conversation WHERE id IN ({})",
        places(1)
    )
}

/// The parameters of [`IDS_AT_ONCE`] ids, from a first one on.
fn places(first: usize) -> String {
    let places: Vec<String> = (first..first + IDS_AT_ONCE).map(|at| format!("${at}")).collect();
    places.join(", ")
}

/// The values of [`places`] for at most as many ids; none of no id.
fn padded(ids: &[ConversationId]) -> impl Iterator<Item = Value> {
    let last = ids.last();
    let padded = ids.iter().chain(last.into_iter().cycle());
    padded.take(IDS_AT_ONCE).map(|id| id.get().into())
}

impl Conversation {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: ConversationId::from_database(row.get(0)?),
            kind: enumeration(row.get(1)?),
            consult_id: row.get(2)?,
            epoch: row.get(3)?,
            open: row.get(4)?,
            title: row.get(5)?,
            last_seq: Seq::from_database(row.get(6)?),
            updated_ms: row.get(7)?,
            deadline: deadline(row.get(8)?, row.get(9)?),
        })
    }
}

fn deadline(kind: Option<String>, due_ms: Option<i64>) -> Option<Deadline> {
    let (kind, due_ms) = kind.zip(due_ms)?;
    Some(Deadline { kind, due_ms })
}

impl Journal {
    /// The conversation; `None` when it does not exist.
    ///
    /// # Errors
    /// As the database says.
    pub async fn conversation(&self, id: ConversationId) -> Result<Option<Conversation>, Error> {
        let row = self.database.query_first(CONVERSATION, params![id.get()]).await?;
        row.as_ref().map(Conversation::from_row).transpose()
    }

    /// The newest seq of each conversation, for a node that compares it with its last delivery; none of those whose machine
    /// does not answer.
    ///
    /// # Errors
    /// As the database says.
    pub async fn last_seqs(&self, ids: &[ConversationId]) -> Result<Vec<(ConversationId, Seq)>, Error> {
        let Some(machines) = &self.machines else {
            return self.last_seqs_of(ids).await;
        };
        let ids = ids.to_vec();
        machines
            .ask_each(ids, |id| *id, async |ids| self.last_seqs_of(&ids).await)
            .await
    }

    /// The same, of all or of none.
    pub(crate) async fn last_seqs_of(
        &self,
        ids: &[ConversationId],
    ) -> Result<Vec<(ConversationId, Seq)>, Error> {
        let sql = last_seqs_sql();
        let mut answer = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(IDS_AT_ONCE) {
            for row in self.database.query(sql.clone(), padded(chunk).collect()).await? {
                answer.push((
                    ConversationId::from_database(row.get(0)?),
                    Seq::from_database(row.get(1)?),
                ));
            }
        }
        Ok(answer)
    }
}
