//! Conversations that a user has taken off their lists, on each device.
//!
//! A row names the newest entry that the user saw. A later one brings the conversation back by comparison, so that an append
//! writes nothing here. A row that was taken back stays with seq 0, so that apps hear of it.

use std::collections::{HashMap, HashSet};

use database::{Error, Row, Transaction, params};
use proto::{ConversationId, Seq, UserId};

use super::{IDS_AT_ONCE, padded, places};
use crate::Journal;

const OF_USER: &str = "SELECT conversation_id, user_id, through_seq, changed_no FROM hidden_conversation
    WHERE user_id = $1 AND conversation_id < $2 AND conversation_id >= $3 AND changed_no >= $4
    ORDER BY conversation_id DESC LIMIT $5";

const ONE: &str = "SELECT conversation_id, user_id, through_seq, changed_no FROM hidden_conversation
    WHERE conversation_id = $1 AND user_id = $2";

const CHANGES: &str = "SELECT conversation_id, user_id, through_seq, changed_no FROM hidden_conversation
    WHERE (changed_no, conversation_id, user_id) > ($1, $2, $3) ORDER BY changed_no, conversation_id, user_id LIMIT $4";

const HEAD: &str = "SELECT last_seq FROM conversation WHERE id = $1";

/// Every statement here but for [`among_sql`].
pub(crate) const STATEMENTS: &[&str] = &[OF_USER, ONE, CHANGES, HEAD];

/// Where conversations lie on several machines, these rows lie on the coordinator: no statement joins both.
pub(crate) fn among_sql() -> String {
    format!(
        "SELECT conversation_id, user_id, through_seq, changed_no FROM hidden_conversation
         WHERE user_id = $1 AND through_seq > 0 AND conversation_id IN ({})",
        places(2)
    )
}

/// A conversation that a user has hidden, or put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// The conversation.
    pub conversation: ConversationId,
    /// The user.
    pub user: UserId,
    /// Hidden while they see no entry beyond this one; 0: put back.
    pub through: Seq,
    /// The number of the change (see [`super::order`]).
    pub number: i64,
}

impl Hidden {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            conversation: ConversationId::from_database(row.get(0)?),
            user: UserId::from_database(row.get(1)?),
            through: Seq::from_database(row.get(2)?),
            number: row.get(3)?,
        })
    }
}

impl Journal {
    /// A page of the conversations that a user has hidden or put back at a horizon's number or later, from the newest id to
    /// the oldest: those with `from <= id < before`. The next page lies before the last one.
    ///
    /// # Errors
    /// As the database says.
    pub async fn hidden_of(
        &self,
        user: UserId,
        before: ConversationId,
        from: ConversationId,
        since: i64,
        limit: i64,
    ) -> Result<Vec<Hidden>, Error> {
        let params = params![user.get(), before.get(), from.get(), since, limit];
        let rows = self.database.query(OF_USER, params).await?;
        rows.iter().map(Hidden::from_row).collect()
    }

    /// One of them; `None` when the user never hid it.
    ///
    /// # Errors
    /// As the database says.
    pub async fn hidden(&self, user: UserId, conversation: ConversationId) -> Result<Option<Hidden>, Error> {
        let params = params![conversation.get(), user.get()];
        let row = self.database.query_first(ONE, params).await?;
        row.as_ref().map(Hidden::from_row).transpose()
    }

    /// Whether a user has hidden a conversation, and no entry came later.
    ///
    /// # Errors
    /// As the database says.
    pub async fn is_hidden(
        &self,
        tx: &mut Transaction<'_>,
        user: UserId,
        conversation: ConversationId,
    ) -> Result<bool, Error> {
        let row = tx
            .query_first(ONE, params![conversation.get(), user.get()])
            .await?;
        let hidden = row.as_ref().map(Hidden::from_row).transpose()?;
        let Some(hidden) = hidden.filter(|hidden| hidden.through > Seq::ZERO) else {
            return Ok(false);
        };
        let head = tx.query_first(HEAD, params![conversation.get()]).await?;
        let last_seq: Option<i64> = head.map(|row| row.get(0)).transpose()?;
        Ok(last_seq.is_some_and(|last_seq| hidden.through.get() >= last_seq))
    }

    /// Those of some conversations that a user has hidden, and to which no entry came later.
    ///
    /// # Errors
    /// As the database says.
    pub async fn hidden_among(
        &self,
        user: UserId,
        conversations: &[ConversationId],
    ) -> Result<HashSet<ConversationId>, Error> {
        let mut hidden = Vec::new();
        for chunk in conversations.chunks(IDS_AT_ONCE) {
            let mut params = params![user.get()];
            params.extend(padded(chunk));
            for row in self.database.query(among_sql(), params).await? {
                hidden.push(Hidden::from_row(&row)?);
            }
        }
        if hidden.is_empty() {
            return Ok(HashSet::new());
        }
        let ids: Vec<ConversationId> = hidden.iter().map(|hidden| hidden.conversation).collect();
        let heads: HashMap<_, _> = self.last_seqs_of(&ids).await?.into_iter().collect();
        let is_still = |hidden: &&Hidden| {
            let head = heads.get(&hidden.conversation);
            head.is_some_and(|head| hidden.through >= *head)
        };
        let still = hidden.iter().filter(is_still);
        Ok(still.map(|hidden| hidden.conversation).collect())
    }

    /// Conversations that were hidden or put back at a horizon's number or later, in order: a node finds the notices that it
    /// missed. The next page lies behind the last of the page before: many share a number.
    ///
    /// # Errors
    /// As the database says.
    pub async fn hidden_since(
        &self,
        number: i64,
        behind: Option<&Hidden>,
        limit: i64,
    ) -> Result<Vec<Hidden>, Error> {
        let (number, conversation, user) = behind.map_or((number, -1, -1), |last| {
            (last.number, last.conversation.get(), last.user.get())
        });
        let params = params![number, conversation, user, limit];
        let rows = self.database.query(CHANGES, params).await?;
        rows.iter().map(Hidden::from_row).collect()
    }
}
