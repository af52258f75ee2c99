//! Which messages were corrected.

use std::collections::HashMap;

use database::{Error, params};
use proto::{ConversationId, Seq, UserId};

use crate::Journal;

// protocol: "Of several corrections of one message the newest counts"
/// Corrections of entries $3 to $4 of conversation $1, as far as user $2 sees them.
const CORRECTIONS: &str = "SELECT c.seq, MAX(c.by_seq) FROM correction c
    JOIN participant p ON p.conversation_id = c.conversation_id AND p.user_id = $2
      AND COALESCE(p.sees_from_seq, p.from_seq) <= c.by_seq AND (p.to_seq IS NULL OR c.by_seq <= p.to_seq)
    WHERE c.conversation_id = $1 AND c.seq >= $3 AND c.seq <= $4 GROUP BY c.seq";

/// Every statement here.
pub(crate) const STATEMENTS: &[&str] = &[CORRECTIONS];

impl Journal {
    /// The newest correction of each corrected message between two seqs, both included, as far as a user sees it. A
    /// correction that was recalled is none.
    ///
    /// # Errors
    /// As the database says.
    pub async fn corrections(
        &self,
        conversation: ConversationId,
        user: UserId,
        (from, to): (Seq, Seq),
    ) -> Result<HashMap<Seq, Seq>, Error> {
        let params = params![conversation.get(), user.get(), from.get(), to.get()];
        let rows = self.database.query(CORRECTIONS, params).await?;
        rows.iter()
            .map(|row| Ok((Seq::from_database(row.get(0)?), Seq::from_database(row.get(1)?))))
            .collect()
    }
}
