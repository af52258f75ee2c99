//! A user sees a medium by an entry that names it, as long as they see the entry and it is not recalled (invariant I5).

use database::{Error, params};
use proto::{ConversationId, Seq, UserId};

use crate::Journal;

impl Journal {
    // protocol: "An entry shows its media over REST to each user who sees it, until a recall"
    /// Whether a user sees a medium by an entry that names it.
    ///
    /// # Errors
    /// As the database says.
    pub async fn sees_media(&self, media: i64, user: UserId) -> Result<bool, Error> {
        let params = params![media, user.get()];
        let rows = self.database.query(self.dialect.of_medium, params).await?;
        let mut failed = None;
        for row in rows {
            let conversation = ConversationId::from_database(row.get(0)?);
            match self.sees_media_in(conversation, media, user).await {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                // Another machine may show it as well.
                Err(error @ Error::Machine(_)) => failed = Some(error),
                Err(error) => return Err(error),
            }
        }
        failed.map_or(Ok(false), Err)
    }

    async fn sees_media_in(
        &self,
        conversation: ConversationId,
        media: i64,
        user: UserId,
    ) -> Result<bool, Error> {
        let params = params![conversation.get(), user.get(), media];
        let Some(row) = self.database.query_first(self.dialect.sees_media, params).await? else {
            return Ok(false);
        };
        // The entry's checksum holds its recall, too: a damaged row shows nothing.
        let seq = Seq::from_database(row.get(0)?);
        let entries = self.entries(conversation, seq, seq, 1).await?;
        Ok(entries.iter().any(|entry| !entry.recalled))
    }
}
