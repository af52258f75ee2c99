//! How far people got: cumulative marks, one for each person and conversation.

use database::{Error, params};
use proto::{ConversationId, Seq, UserId};

use crate::Journal;

/// How far one person got in one conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The conversation.
    pub conversation: ConversationId,
    /// The person.
    pub user: UserId,
    /// Up to where their devices have everything.
    pub received_seq: Seq,
    /// Up to where they have read.
    pub read_seq: Seq,
}

impl Journal {
    /// Moves marks forward, in one transaction; a mark never moves back. Gives them as they stand then.
    ///
    /// # Errors
    /// As the database says.
    pub async fn save_marks(&self, marks: Vec<Mark>) -> Result<Vec<Mark>, Error> {
        self.database
            .transaction(move |tx| {
                Box::pin(async move {
                    let mut standing = Vec::with_capacity(marks.len());
                    for mark in marks {
                        let row = tx
                            .query_first(
                                "INSERT INTO mark (conversation_id, user_id, received_seq, read_seq)
                                 VALUES ($1, $2, $3, $4)
                                 ON CONFLICT (conversation_id, user_id) DO UPDATE SET
                                   received_seq = CASE WHEN excluded.received_seq > mark.received_seq
                                     THEN excluded.received_seq ELSE mark.received_seq END,
                                   read_seq = CASE WHEN excluded.read_seq > mark.read_seq
                                     THEN excluded.read_seq ELSE mark.read_seq END
                                 RETURNING received_seq, read_seq",
                                params![
                                    mark.conversation.get(),
                                    mark.user.get(),
                                    // What has been read has been received.
                                    mark.received_seq.max(mark.read_seq).get(),
                                    mark.read_seq.get()
                                ],
                            )
                            .await?;
                        if let Some(row) = row {
                            standing.push(Mark {
                                received_seq: Seq::from_database(row.get(0)?),
                                read_seq: Seq::from_database(row.get(1)?),
                                ..mark
                            });
                        }
                    }
                    Ok(standing)
                })
            })
            .await
    }
}
