//! Hiding conversations from a user's lists, and putting them back.

use database::{Error, Transaction, params};
use proto::{ConversationId, UserId};

use super::Unpublished;
use crate::{Journal, UserNotice};

/// Conversations in one notice.
const OF_NOTICE: usize = 200;

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
        for conversation in conversations {
            tx.enqueue(self.dialect.hide, params![conversation.get(), user.get()])
                .await?;
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
