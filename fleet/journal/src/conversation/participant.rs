//! The participants of conversations, and the changes of participation.

use std::pin::pin;

use database::{Error, Transaction, Value, params};
use futures_util::{StreamExt, stream};
use proto::{
    ConversationId, Seq, UserId,
    wire::{EntryKind, Role},
};

use super::directory::Directory;
use crate::{Journal, entry::enumeration};

const PARTICIPANTS: &str = "SELECT user_id, role, from_seq, name, title, photo FROM participant
    WHERE conversation_id = $1 AND to_seq IS NULL ORDER BY user_id";

const CHANGES: &str = "SELECT conversation_id, user_id, changed_no FROM participant
    WHERE changed_no >= $1 ORDER BY changed_no LIMIT $2";

/// Every statement here.
pub(crate) const STATEMENTS: &[&str] = &[PARTICIPANTS, CHANGES];

/// A user who is in a conversation now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// The user.
    pub user: UserId,
    /// Their role.
    pub role: Role,
    /// The entry of their joining.
    pub from_seq: Seq,
    /// As of their joining, as title and photo.
    pub name: String,
    /// Of a doctor; may be empty.
    pub title: String,
    /// The uri of an image; may be empty.
    pub photo: String,
}

/// The beginning or the end of a span of participation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The conversation.
    pub conversation: ConversationId,
    /// The participant.
    pub user: UserId,
    /// Its number in the order of the database.
    pub number: i64,
}

impl Journal {
    /// The participants of a conversation, in the order of ids.
    ///
    /// # Errors
    /// As the database says.
    pub async fn participants(&self, id: ConversationId) -> Result<Vec<Participant>, Error> {
        let rows = self.database.query(PARTICIPANTS, params![id.get()]).await?;
        rows.iter()
            .map(|row| {
                Ok(Participant {
                    user: UserId::from_database(row.get(0)?),
                    role: enumeration(row.get(1)?),
                    from_seq: Seq::from_database(row.get(2)?),
                    name: row.get(3)?,
                    title: row.get(4)?,
                    photo: row.get(5)?,
                })
            })
            .collect()
    }

    /// Spans of participation that began or ended at a horizon's number (see [`super::order`]) or later, in order: a node
    /// finds the announcements that it missed. After `limit` of them, continue from the last one's number.
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

    /// Whether a user wrote a message in a conversation, or proposed a value-added service.
    ///
    /// # Errors
    /// As the database says.
    pub async fn has_served(
        &self,
        tx: &mut Transaction<'_>,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<bool, Error> {
        let kinds = [EntryKind::Message, EntryKind::VasProposed].map(|kind| i64::from(kind as i32));
        let params = params![conversation.get(), user.get(), kinds[0], kinds[1]];
        Ok(tx.query_first(self.dialect.has_served, params).await?.is_some())
    }

    /// Those of `others` who share a conversation with `user` now.
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
            if self.meet(self.dialect.sharing, user, *other).await? {
                sharing.push(*other);
            }
        }
        Ok(sharing)
    }

    /// Whether a user has seen some of another one's time in a conversation.
    ///
    /// # Errors
    /// As the database says.
    pub async fn has_met(&self, user: UserId, other: UserId) -> Result<bool, Error> {
        self.meet(self.dialect.has_met, user, other).await
    }

    /// Whether a statement finds a conversation of two users. Beside other machines it looks into one conversation.
    async fn meet(&self, find: &'static str, user: UserId, other: UserId) -> Result<bool, Error> {
        let (user, other) = (user.get(), other.get());
        let Some(directory) = self.dialect.directory else {
            return self.finds(find, params![user, other]).await;
        };
        let (mut before, mut failed) = (i64::MAX, None);
        loop {
            let params = params![user, other, before, Directory::PAGE];
            let page = self.database.query(directory.of_both, params).await?;
            let Some(last) = page.last() else {
                return failed.map_or(Ok(false), Err);
            };
            before = last.get(0)?;
            let ids: Vec<i64> = page.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
            let each = ids
                .into_iter()
                .map(|id| self.finds(find, params![user, other, id]));
            let mut each = pin!(stream::iter(each).buffered(Directory::BESIDE));
            while let Some(found) = each.next().await {
                match found {
                    Ok(true) => return Ok(true),
                    Ok(false) => {}
                    // Another machine may have a conversation of both.
                    Err(error @ Error::Machine(_)) => failed = Some(error),
                    Err(error) => return Err(error),
                }
            }
        }
    }

    async fn finds(&self, find: &'static str, params: Vec<Value>) -> Result<bool, Error> {
        Ok(self.database.query_first(find, params).await?.is_some())
    }
}
