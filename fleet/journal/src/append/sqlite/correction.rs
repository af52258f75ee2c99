//! The message that another one corrects. A message that corrects none costs no statement.

use database::Error as DatabaseError;
use proto::{ConversationId, Seq, UserId};
use rusqlite::params;

use super::{
    super::{NewMessage, decide::Original},
    Tracked,
    resend::{FIRST, Resends, verify},
};
use crate::entry::{damage, enumeration};

const CORRECT: &str = "INSERT INTO correction (conversation_id, seq, by_seq) VALUES (?1, ?2, ?3)
    ON CONFLICT DO NOTHING";

/// Every statement here.
pub(super) const STATEMENTS: &[&str] = &[CORRECT];

impl Resends<'_> {
    /// The entry that a message corrects; `None` when it corrects none, or there is no such entry.
    pub(super) fn original(
        &self,
        tracked: &Tracked,
        message: &NewMessage,
    ) -> Result<Option<Original>, DatabaseError> {
        let (conversation, seq) = (message.conversation, message.corrects_seq);
        if seq == Seq::ZERO {
            return Ok(None);
        }
        let unindexed = tracked.unindexed.iter().find(|unindexed| unindexed.seq == seq);
        let id = match unindexed {
            Some(unindexed) => Some(unindexed.id),
            None => self.place(conversation, seq.get())?,
        };
        let Some(id) = id else {
            return Ok(None);
        };
        let mut statement = self.connection.prepare_cached(FIRST)?;
        let mut rows = statement.query([id, conversation.get(), seq.get()])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        // A damaged entry proves neither that it is the sender's own nor that it was not recalled.
        verify(row).map_err(|reason| damage::report(conversation, seq, reason))?;
        Ok(Some(Original {
            sender: UserId::from_database(row.get(2)?),
            kind: enumeration(row.get(3)?),
            recalled: row.get(11)?,
        }))
    }

    /// Marks the corrected message, for lists of messages.
    pub(super) fn correct(
        &self,
        conversation: ConversationId,
        seq: Seq,
        by_seq: Seq,
    ) -> Result<(), DatabaseError> {
        let mut statement = self.connection.prepare_cached(CORRECT)?;
        statement.execute(params![conversation.get(), seq.get(), by_seq.get()])?;
        Ok(())
    }
}
