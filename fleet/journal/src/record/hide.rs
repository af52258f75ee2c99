//! Hiding conversations from a user's lists, and putting them back.

use database::{Error, Transaction, params};
use proto::{ConversationId, UserId};

use super::Unpublished;
use crate::{Journal, UserNotice};

/// Conversations in one notice.
const OF_NOTICE: usize = 200;

/// The newest entry of conversation $1 that user $2 sees; NULL where they never were in it.
const SEES_THROUGH: &str = "SELECT max(COALESCE(p.to_seq, c.last_seq))
    FROM participant p JOIN conversation c ON c.id = p.conversation_id
    WHERE p.conversation_id = $1 AND p.user_id = $2";

/// Every statement here.
pub(crate) const STATEMENTS: &[&str] = &[SEES_THROUGH];

impl Journal {
    /// Hides conversations from a user's lists, each through the newest entry that they see. Those that the user never was in
    /// stay as they are. Repeatable: of two devices the later entry counts.
    ///
    /// # Errors
    /// As the database says.
    pub async fn hide(
        &self,
        tx: &mut Transaction<'_>,
        user: UserId,
        conversations: &[ConversationId],
    ) -> Result<Unpublished, Error> {
        let look = |conversation: &ConversationId| (SEES_THROUGH, params![conversation.get(), user.get()]);
        let seen = tx.pipeline(conversations.iter().map(look).collect()).await;
        for (conversation, rows) in conversations.iter().zip(seen) {
            let through: Option<i64> = match rows?.first() {
                Some(row) => row.get(0)?,
                None => None,
            };
            if let Some(through) = through {
                let hidden = params![conversation.get(), user.get(), through];
                tx.enqueue(self.dialect.hide, hidden).await?;
            }
        }
        Ok(changed(user, conversations))
    }

    // protocol: "A Hidden with through_seq 0 puts it back"
    /// Puts hidden conversations back on a user's lists.
    ///
    /// # Errors
    /// As the database says.
    pub async fn unhide(
        &self,
        tx: &mut Transaction<'_>,
        user: UserId,
        conversations: &[ConversationId],
    ) -> Result<Unpublished, Error> {
        for conversation in conversations {
            tx.enqueue(self.dialect.unhide, params![conversation.get(), user.get()])
                .await?;
        }
        Ok(changed(user, conversations))
    }
}

fn changed(user: UserId, conversations: &[ConversationId]) -> Unpublished {
    let notice = |some: &[ConversationId]| (user, UserNotice::Hidden(some.to_vec()));
    Unpublished {
        entries: Vec::new(),
        notices: conversations.chunks(OF_NOTICE).map(notice).collect(),
    }
}
