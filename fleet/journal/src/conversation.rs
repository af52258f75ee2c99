//! What a conversation is, and who is in it.

use database::{Database, Error, Row, params};
use proto::{
    ConversationId, Seq, UserId,
    wire::{ConversationKind, Role},
};

use crate::{Journal, entry::enumeration};

/// A conversation, at one seq.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// What kind it is.
    pub kind: ConversationKind,
    /// The consult that it belongs to.
    pub consult_id: Option<i64>,
    /// Moves only when a database was restored or failed over with lost commits.
    pub epoch: i64,
    /// Whether it takes messages.
    pub open: bool,
    /// Its title.
    pub title: String,
    /// The newest entry.
    pub last_seq: Seq,
    /// When it was written to last, epoch milliseconds.
    pub updated_ms: i64,
}

/// The columns of [`Conversation::from_row`].
macro_rules! columns {
    () => {
        "c.id, c.kind, c.consult_id, c.epoch, c.open, c.title, c.last_seq, c.updated_ms"
    };
}
pub(crate) use columns;

const CONVERSATION: &str = concat!("SELECT ", columns!(), " FROM conversation c WHERE c.id = $1");

const PARTICIPANTS: &str = "SELECT user_id, role, from_seq FROM participant
    WHERE conversation_id = $1 AND to_seq IS NULL ORDER BY user_id";

/// Ids in one statement of [`last_seqs_sql`]; the last statement repeats an id to come to this number, so that one text
/// is prepared.
const SEQS_AT_ONCE: usize = 200;

const CHANGES: &str = "SELECT conversation_id, user_id, changed_no FROM participant
    WHERE changed_no >= $1 ORDER BY changed_no LIMIT $2";

const SHARING: &str = "SELECT 1 FROM participant mine JOIN participant theirs
      ON theirs.conversation_id = mine.conversation_id AND theirs.user_id = $2
    WHERE mine.user_id = $1 AND mine.to_seq IS NULL AND theirs.to_seq IS NULL LIMIT 1";

/// Every statement here, for the tests that explain them.
pub(crate) const STATEMENTS: &[&str] = &[CONVERSATION, PARTICIPANTS, CHANGES, SHARING];

pub(crate) fn last_seqs_sql() -> String {
    let places: Vec<String> = (1..=SEQS_AT_ONCE).map(|at| format!("${at}")).collect();
    format!(
        "SELECT id, last_seq FROM conversation WHERE id IN ({})",
        places.join(", ")
    )
}

impl Conversation {
    pub(crate) fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: ConversationId::from_database(row.get(0)?),
            kind: enumeration(row.get(1)?),
            consult_id: row.get(2)?,
            epoch: row.get(3)?,
            open: row.get(4)?,
            title: row.get(5)?,
            last_seq: Seq::from_database(row.get(6)?),
            updated_ms: row.get(7)?,
        })
    }
}

/// Somebody who is in a conversation now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Participant {
    /// The person.
    pub user: UserId,
    /// What they are in it.
    pub role: Role,
    /// The entry by which they joined.
    pub from_seq: Seq,
}

impl Journal {
    /// A conversation; none when there is no such one.
    ///
    /// # Errors
    /// As the database says.
    pub async fn conversation(&self, id: ConversationId) -> Result<Option<Conversation>, Error> {
        let row = self.database.query_first(CONVERSATION, params![id.get()]).await?;
        row.as_ref().map(Conversation::from_row).transpose()
    }

    /// Everybody who is in a conversation now, in the order of ids.
    ///
    /// # Errors
    /// As the database says.
    pub async fn participants(&self, id: ConversationId) -> Result<Vec<Participant>, Error> {
        participants(&self.database, id).await
    }

    /// The newest seq of each of these conversations, for a node that compares them with what it has delivered.
    ///
    /// # Errors
    /// As the database says.
    pub async fn last_seqs(&self, ids: &[ConversationId]) -> Result<Vec<(ConversationId, Seq)>, Error> {
        let sql = last_seqs_sql();
        let mut answer = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(SEQS_AT_ONCE) {
            let padded = (0..SEQS_AT_ONCE)
                .map(|at| chunk[at.min(chunk.len() - 1)].get().into())
                .collect();
            for row in self.database.query(sql.clone(), padded).await? {
                answer.push((
                    ConversationId::from_database(row.get(0)?),
                    Seq::from_database(row.get(1)?),
                ));
            }
        }
        Ok(answer)
    }

    /// Spans of participation that began or ended at a horizon's number (see [`crate::order`]) or later: for a node that
    /// looks for announcements that it did not get. At most `limit`, in their order; when there are so many, ask on from
    /// the last one's number.
    ///
    /// # Errors
    /// As the database says.
    pub async fn changes_since(&self, number: i64, limit: i64) -> Result<Vec<Change>, Error> {
        let rows = self.database.query(CHANGES, params![number, limit]).await?;
        rows.iter()
            .map(|row| {
                Ok(Change {
                    conversation: ConversationId::from_database(row.get(0)?),
                    user: UserId::from_database(row.get(1)?),
                    number: row.get(2)?,
                })
            })
            .collect()
    }

    /// Which of these people are in a conversation together with `user` now.
    ///
    /// # Errors
    /// As the database says.
    pub async fn sharing_a_conversation(
        &self,
        user: UserId,
        others: &[UserId],
    ) -> Result<Vec<UserId>, Error> {
        let mut sharing = Vec::new();
        for other in others {
            let row = self
                .database
                .query_first(SHARING, params![user.get(), other.get()])
                .await?;
            if row.is_some() {
                sharing.push(*other);
            }
        }
        Ok(sharing)
    }
}

/// The beginning or the end of a span of participation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The conversation.
    pub conversation: ConversationId,
    /// The participant.
    pub user: UserId,
    /// Its place in the order of the database.
    pub number: i64,
}

pub(crate) async fn participants(database: &Database, id: ConversationId) -> Result<Vec<Participant>, Error> {
    let rows = database.query(PARTICIPANTS, params![id.get()]).await?;
    rows.iter()
        .map(|row| {
            Ok(Participant {
                user: UserId::from_database(row.get(0)?),
                role: enumeration(row.get(1)?),
                from_seq: Seq::from_database(row.get(2)?),
            })
        })
        .collect()
}
