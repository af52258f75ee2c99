//! The media that the messages of a batch name. A message without any costs no statement.

use database::Error as DatabaseError;
use proto::{ConversationId, Seq, UserId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::{
    NewMessage,
    decide::{Medium, may_name},
};
use crate::{
    Error,
    media::{self, Named},
    sql::sqlite::DIALECT,
};

const FIND: &str = "SELECT owner_id, purpose, state, mime_type FROM media WHERE id = ?1";

const USE: &str = "UPDATE media SET used_ms = ?1 WHERE id = ?2 AND used_ms IS NULL";

const WRITE: &str = "INSERT INTO media_entry (media_id, conversation_id, seq) VALUES (?1, ?2, ?3)
    ON CONFLICT DO NOTHING";

/// Every statement here.
pub(super) const STATEMENTS: &[&str] = &[FIND, USE, WRITE];

/// The media of one batch.
pub(super) struct Media<'c> {
    pub(super) connection: &'c Connection,
    pub(super) now_ms: i64,
}

impl Media<'_> {
    /// The media that a message names, which its sender may send.
    pub(super) fn check(&self, message: &NewMessage) -> Result<Vec<Named>, Error> {
        let named = media::named(&message.mime_type, &message.body);
        let mut found = Vec::with_capacity(named.len().min(media::MAX_NAMED));
        for one in named.iter().take(media::MAX_NAMED) {
            found.push(self.find(message, one.id)?);
        }
        found.resize(named.len(), None);
        let rows = found.iter().map(Option::as_ref);
        may_name(message.sender, named.iter().copied().zip(rows))?;
        Ok(named)
    }

    fn find(&self, message: &NewMessage, id: i64) -> Result<Option<Medium>, DatabaseError> {
        let mut find = self.connection.prepare_cached(FIND)?;
        let Some(mut medium) = find.query_row([id], medium).optional()? else {
            return Ok(None);
        };
        if !medium.is_own(message.sender) {
            let mut sees = self.connection.prepare_cached(DIALECT.sees_media)?;
            let key = [message.conversation.get(), message.sender.get(), id];
            medium.seen = sees.query_row(key, |_| Ok(())).optional()?.is_some();
        }
        Ok(Some(medium))
    }

    /// Marks media as used, by the entry that names them.
    pub(super) fn write(
        &self,
        conversation: ConversationId,
        seq: Seq,
        named: &[Named],
    ) -> Result<(), DatabaseError> {
        for Named { id, .. } in named {
            self.connection.prepare_cached(USE)?.execute([self.now_ms, *id])?;
            let mut write = self.connection.prepare_cached(WRITE)?;
            write.execute(params![id, conversation.get(), seq.get()])?;
        }
        Ok(())
    }
}

fn medium(row: &Row<'_>) -> rusqlite::Result<Medium> {
    Ok(Medium {
        owner: UserId::from_database(row.get(0)?),
        purpose: row.get(1)?,
        state: row.get(2)?,
        mime_type: row.get(3)?,
        seen: false,
    })
}
