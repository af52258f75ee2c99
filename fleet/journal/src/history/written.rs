//! Messages that work which comes due looks for.

use std::collections::HashSet;

use database::{Error, Transaction, params};
use proto::{
    ConversationId, Seq, UserId,
    wire::{EntryKind, Role},
};

use crate::{Journal, entry::Entry};

/// Users who are or were in a conversation in a role, and since when.
const OF_ROLE: &str = "SELECT user_id, from_seq FROM participant WHERE conversation_id = $1 AND role = $2";

/// Every statement here.
pub(crate) const STATEMENTS: &[&str] = &[OF_ROLE];

/// Entries that are read at once.
const PAGE: i64 = 50;

/// A message, without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its position.
    pub seq: Seq,
    /// Its sender.
    pub sender: UserId,
    /// When it was accepted, epoch milliseconds.
    pub created_ms: i64,
}

impl Journal {
    /// The newest message of a conversation; a recalled one is one, too.
    ///
    /// # Errors
    /// As the database says.
    pub async fn last_message(
        &self,
        tx: &mut Transaction<'_>,
        conversation: ConversationId,
    ) -> Result<Option<Written>, Error> {
        let mut high = i64::MAX;
        loop {
            let params = params![conversation.get(), 1_i64, high, PAGE];
            let entries = self
                .read(tx, self.dialect.newest_entries, conversation, params)
                .await?;
            let Some(oldest) = entries.last() else {
                return Ok(None);
            };
            if let Some(message) = entries.iter().find_map(message) {
                return Ok(Some(message));
            }
            high = oldest.seq.get() - 1;
        }
    }

    /// The first message of a conversation by a user who is or was in it in a role.
    ///
    /// # Errors
    /// As the database says.
    pub async fn first_message_of(
        &self,
        tx: &mut Transaction<'_>,
        conversation: ConversationId,
        role: Role,
    ) -> Result<Option<Written>, Error> {
        let rows = tx
            .query(OF_ROLE, params![conversation.get(), i64::from(role as i32)])
            .await?;
        let (mut users, mut low) = (HashSet::new(), i64::MAX);
        for row in &rows {
            users.insert(UserId::from_database(row.get(0)?));
            low = low.min(row.get(1)?);
        }
        if users.is_empty() {
            return Ok(None);
        }
        loop {
            let params = params![conversation.get(), low, i64::MAX, PAGE];
            let entries = self.read(tx, self.dialect.entries, conversation, params).await?;
            let Some(newest) = entries.last() else {
                return Ok(None);
            };
            let mut messages = entries.iter().filter_map(message);
            if let Some(message) = messages.find(|message| users.contains(&message.sender)) {
                return Ok(Some(message));
            }
            low = newest.seq.get() + 1;
        }
    }

    async fn read(
        &self,
        tx: &mut Transaction<'_>,
        statement: &'static str,
        conversation: ConversationId,
        params: Vec<database::Value>,
    ) -> Result<Vec<Entry>, Error> {
        let rows = tx.query(statement, params).await?;
        rows.iter()
            .map(|row| Entry::from_row(row, conversation, self.dialect.checksums))
            .collect()
    }
}

fn message(entry: &Entry) -> Option<Written> {
    (entry.kind == EntryKind::Message).then_some(Written {
        seq: entry.seq,
        sender: entry.sender,
        created_ms: entry.created_ms,
    })
}
