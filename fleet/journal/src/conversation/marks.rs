//! Marks: the newest entry that a user has received and read, for each conversation.

use database::{Error, params};
use proto::{ConversationId, Seq, UserId};

use crate::Journal;

/// The marks of one user in one conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The conversation.
    pub conversation: ConversationId,
    /// The user.
    pub user: UserId,
    /// Their devices have all entries through this one.
    pub received_seq: Seq,
    /// They have read all entries through this one.
    pub read_seq: Seq,
}

/// Clips marks to the newest entry that the user may see, and drops those of users who never were in the conversation.
const SAVE: &str = "INSERT INTO mark (conversation_id, user_id, received_seq, read_seq)
    SELECT v.conversation_id, v.user_id,
           CASE WHEN $3 > v.newest THEN v.newest ELSE $3 END,
           CASE WHEN $4 > v.newest THEN v.newest ELSE $4 END
    FROM (SELECT p.conversation_id, p.user_id, max(COALESCE(p.to_seq, c.last_seq)) AS newest
          FROM participant p JOIN conversation c ON c.id = p.conversation_id
          WHERE p.conversation_id = $1 AND p.user_id = $2
          GROUP BY p.conversation_id, p.user_id) AS v
    WHERE true
    ON CONFLICT (conversation_id, user_id) DO UPDATE SET
      received_seq = CASE WHEN excluded.received_seq > mark.received_seq
        THEN excluded.received_seq ELSE mark.received_seq END,
      read_seq = CASE WHEN excluded.read_seq > mark.read_seq
        THEN excluded.read_seq ELSE mark.read_seq END
    RETURNING received_seq, read_seq";

/// Every statement here.
pub(crate) const STATEMENTS: &[&str] = &[SAVE];

impl Journal {
    /// Advances marks, in one transaction on each machine. A mark never moves back, nor past the newest entry that the user may
    /// see. Returns the resulting marks by conversation and user, without those of users who never were in the conversation,
    /// and of conversations whose machine does not answer.
    ///
    /// # Errors
    /// As the database says.
    pub async fn save_marks(&self, marks: Vec<Mark>) -> Result<Vec<Mark>, Error> {
        let Some(machines) = &self.machines else {
            return self.save_marks_at_once(marks).await;
        };
        let mut saved = machines
            .ask_each(
                marks,
                |mark| mark.conversation,
                |marks| self.save_marks_at_once(marks),
            )
            .await?;
        saved.sort_by_key(|mark| (mark.conversation, mark.user));
        Ok(saved)
    }

    async fn save_marks_at_once(&self, mut marks: Vec<Mark>) -> Result<Vec<Mark>, Error> {
        // All nodes lock rows in the same order, so that none waits for another in a circle.
        marks.sort_by_key(|mark| (mark.conversation, mark.user));
        self.database
            .transaction(move |tx| {
                Box::pin(async move {
                    let mut saved = Vec::with_capacity(marks.len());
                    for mark in marks {
                        let row = tx
                            .query_first(
                                SAVE,
                                params![
                                    mark.conversation.get(),
                                    mark.user.get(),
                                    // A read entry has been received.
                                    mark.received_seq.max(mark.read_seq).get(),
                                    mark.read_seq.get()
                                ],
                            )
                            .await?;
                        if let Some(row) = row {
                            saved.push(Mark {
                                received_seq: Seq::from_database(row.get(0)?),
                                read_seq: Seq::from_database(row.get(1)?),
                                ..mark
                            });
                        }
                    }
                    Ok(saved)
                })
            })
            .await
    }
}
