//! Recalling a message. The original stays in the database for the record (invariant I8).

use database::{Transaction, params};
use proto::{
    ConversationId, Sentence, Seq, UserId,
    wire::{EntryKind, Role},
};

use super::{Unpublished, blank};
use crate::{
    Entry, Error, Journal,
    entry::enumeration,
    error::{beyond, unseen},
    sql::Dialect,
};

// protocol: "recall of one's own message | within 2 minutes"
// protocol: "Recall | FORBIDDEN | seq"
/// How long a sender may recall a message, milliseconds.
pub const SENDER_LIMIT_MS: i64 = 2 * 60 * 1000;

/// Locks the conversation: recalls of one message run one after another, and later reads stay true.
const LOCK: &str = "UPDATE conversation SET last_seq = last_seq WHERE id = $1";

/// `last_seq`, for a participant.
const NEWEST: &str = "SELECT c.last_seq FROM participant p JOIN conversation c ON c.id = p.conversation_id
    WHERE p.conversation_id = $1 AND p.user_id = $2 AND p.to_seq IS NULL";

/// A correction that was recalled corrects nothing.
const UNCORRECT: &str = "DELETE FROM correction WHERE conversation_id = $1 AND seq = $2 AND by_seq = $3";

/// Every statement here.
pub(crate) const STATEMENTS: &[&str] = &[LOCK, NEWEST, UNCORRECT];

/// The facts of the decision.
#[derive(Clone, Copy, Debug)]
struct Facts {
    by: UserId,
    role: Role,
    open: bool,
    sender: UserId,
    kind: EntryKind,
    created_ms: i64,
    recalled: bool,
}

impl Journal {
    /// Recalls a message. Returns the seq of the RECALLED entry, and what the caller publishes. A repeated request writes
    /// nothing and returns the first one's seq.
    ///
    /// # Errors
    /// [`Error::NoAccess`] when the user is not in it, [`Error::Forbidden`] when the message is another user's or too old,
    /// [`Error::Invalid`] when it lies beyond the newest entry, outside the user's spans, or is an event,
    /// [`Error::Closed`].
    pub async fn recall(
        &self,
        conversation: ConversationId,
        by: UserId,
        seq: Seq,
        now_ms: i64,
    ) -> Result<(Seq, Unpublished), Error> {
        let journal = self.clone();
        self.database
            .transaction(move |tx| {
                Box::pin(async move {
                    tx.execute(LOCK, params![conversation.get()]).await?;
                    let dialect = journal.dialect;
                    let facts = facts(tx, dialect, conversation, by, seq).await?;
                    may_recall(facts)?;
                    // The UPDATE below writes a new checksum, which would make a damaged entry look whole.
                    let original = journal.verify_entry(tx, conversation, seq).await?;
                    if facts.recalled
                        && let Some(first) = recalled_by(tx, dialect, conversation, seq).await?
                    {
                        return Ok((first, Unpublished::default()));
                    }
                    decide(facts, now_ms)?;
                    let recalled_seq = journal.lock_next_seq(tx, conversation).await?;
                    let withheld = params![conversation.get(), true, seq.get()];
                    tx.execute(dialect.withhold, withheld).await?;
                    let corrected = original.corrects_seq;
                    if corrected > Seq::ZERO {
                        let correction = params![conversation.get(), corrected.get(), seq.get()];
                        tx.execute(UNCORRECT, correction).await?;
                    }
                    let entry = Entry {
                        corrects_seq: seq,
                        ..blank(conversation, recalled_seq, by, EntryKind::Recalled, now_ms)
                    };
                    let published = journal.insert(tx, entry).await?;
                    Ok((
                        recalled_seq,
                        Unpublished {
                            entries: vec![published],
                            notices: Vec::new(),
                        },
                    ))
                })
            })
            .await
    }
}

async fn facts(
    tx: &mut Transaction<'_>,
    dialect: &Dialect,
    conversation: ConversationId,
    by: UserId,
    seq: Seq,
) -> Result<Facts, Error> {
    let params = params![conversation.get(), by.get(), seq.get()];
    let row = tx.query_first(dialect.recall_facts, params).await?;
    let Some(row) = row else {
        return Err(why_not_seen(tx, conversation, by, seq).await?);
    };
    Ok(Facts {
        by,
        role: enumeration(row.get(0)?),
        open: row.get(1)?,
        sender: UserId::from_database(row.get(2)?),
        kind: enumeration(row.get(3)?),
        created_ms: row.get(4)?,
        recalled: row.get(5)?,
    })
}

// protocol: "Recall | INVALID | seq"
/// Why the user sees no such entry.
async fn why_not_seen(
    tx: &mut Transaction<'_>,
    conversation: ConversationId,
    by: UserId,
    seq: Seq,
) -> Result<Error, Error> {
    let row = tx
        .query_first(NEWEST, params![conversation.get(), by.get()])
        .await?;
    let Some(row) = row else {
        return Ok(Error::NoAccess);
    };
    let last = Seq::from_database(row.get(0)?);
    Ok(match seq > last {
        true => beyond("seq", seq, last),
        false => unseen("seq", seq),
    })
}

async fn recalled_by(
    tx: &mut Transaction<'_>,
    dialect: &Dialect,
    conversation: ConversationId,
    seq: Seq,
) -> Result<Option<Seq>, Error> {
    let row = tx
        .query_first(
            dialect.recalled_by,
            params![
                conversation.get(),
                seq.get(),
                i64::from(EntryKind::Recalled as i32)
            ],
        )
        .await?;
    row.map(|row| Ok(Seq::from_database(row.get(0)?))).transpose()
}

/// Whether this user may recall this entry at any time.
fn may_recall(facts: Facts) -> Result<(), Error> {
    if facts.kind != EntryKind::Message {
        return Err(Error::Invalid {
            field: "seq",
            message: Sentence::new(
                "only messages can be recalled, this is an event",
                "只能撤回消息，这一条是系统事件",
            ),
        });
    }
    if facts.role != Role::Assistant && facts.sender != facts.by {
        return Err(Error::Forbidden {
            field: "seq",
            message: Sentence::new(
                "only its sender or the team's assistant may recall a message",
                "只有发送者本人或群助手可以撤回消息",
            ),
        });
    }
    Ok(())
}

/// Whether they may recall it now.
fn decide(facts: Facts, now_ms: i64) -> Result<(), Error> {
    may_recall(facts)?;
    if facts.role != Role::Assistant && now_ms - facts.created_ms > SENDER_LIMIT_MS {
        return Err(Error::Forbidden {
            field: "seq",
            message: Sentence::new(
                "a message can be recalled by its sender within 2 minutes",
                "消息发出超过 2 分钟，不能再撤回",
            ),
        });
    }
    if facts.open { Ok(()) } else { Err(Error::Closed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            by: UserId::from_database(1),
            role: Role::Patient,
            open: true,
            sender: UserId::from_database(1),
            kind: EntryKind::Message,
            created_ms: 1_000,
            recalled: false,
        }
    }

    // protocol: "recall of one's own message | within 2 minutes"
    // protocol: "Recall | FORBIDDEN | seq"
    #[test]
    fn the_sender_has_two_minutes() {
        assert!(decide(facts(), 1_000 + SENDER_LIMIT_MS).is_ok());
        assert!(matches!(
            decide(facts(), 1_001 + SENDER_LIMIT_MS),
            Err(Error::Forbidden { field: "seq", .. })
        ));
    }

    #[test]
    fn others_may_not_but_the_assistant_may_at_any_time() {
        let other = Facts {
            by: UserId::from_database(2),
            role: Role::Doctor,
            ..facts()
        };
        assert!(matches!(decide(other, 1_000), Err(Error::Forbidden { .. })));
        let assistant = Facts {
            role: Role::Assistant,
            ..other
        };
        assert!(decide(assistant, i64::MAX / 2).is_ok());
    }

    #[test]
    fn events_and_closed_conversations_stay_as_they_are() {
        let event = Facts {
            kind: EntryKind::StatusChanged,
            ..facts()
        };
        assert!(matches!(
            decide(event, 1_000),
            Err(Error::Invalid { field: "seq", .. })
        ));
        assert!(matches!(
            decide(
                Facts {
                    open: false,
                    ..facts()
                },
                1_000
            ),
            Err(Error::Closed)
        ));
    }
}
