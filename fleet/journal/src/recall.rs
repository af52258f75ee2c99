//! Taking a message back. The original stays sealed in the database for the record (invariant I8).

use database::{Transaction, params};
use proto::{
    ConversationId, Sentence, Seq, UserId,
    wire::{EntryKind, Role},
};

use crate::{
    Entry, Error, Journal,
    entry::enumeration,
    error::{beyond, unseen},
    record::{Unpublished, blank, insert},
    unclaimed::with_unclaimed,
};

/// How long a sender may take a message back, milliseconds.
pub const SENDER_LIMIT_MS: i64 = 2 * 60 * 1000;

/// Takes the row that everything about a conversation hangs on: two who recall the same message do so one after the
/// other, and what is read next stays so.
const TAKE: &str = "UPDATE conversation SET last_seq = last_seq WHERE id = $1";

const FACTS: &str = "SELECT p.role, c.open, e.sender_id, e.kind, e.created_ms, e.recalled
    FROM participant p
    JOIN conversation c ON c.id = p.conversation_id
    JOIN entry e ON e.conversation_id = p.conversation_id AND e.seq = $3
    WHERE p.conversation_id = $1 AND p.user_id = $2 AND p.to_seq IS NULL
      AND EXISTS (SELECT 1 FROM participant s WHERE s.conversation_id = $1 AND s.user_id = $2
                    AND s.from_seq <= $3 AND (s.to_seq IS NULL OR s.to_seq >= $3))";

/// Where a conversation stands, for somebody who is in it.
const NEWEST: &str = "SELECT c.last_seq FROM participant p JOIN conversation c ON c.id = p.conversation_id
    WHERE p.conversation_id = $1 AND p.user_id = $2 AND p.to_seq IS NULL";

/// The RECALLED entry comes after what it is about; there is one, so the first found is it.
const RECALLED_BY: &str = "SELECT seq FROM entry
    WHERE conversation_id = $1 AND seq > $2 AND corrects_seq = $2 AND kind = $3 ORDER BY seq LIMIT 1";

/// What the checksum becomes: see [`crate::entry::Seals`].
macro_rules! withhold {
    () => {
        "UPDATE entry SET recalled = $2, checksum = CASE WHEN recalled THEN checksum ELSE ~checksum END WHERE "
    };
}

const WITHHOLD: &str = concat!(withhold!(), "conversation_id = $1 AND seq = $3");

/// In a file, an entry of the conversation `$1` by its seq `$3`.
macro_rules! entry_in_file {
    () => {
        "(SELECT entry_id FROM entry_index WHERE conversation_id = $1 AND seq = $3
          UNION ALL SELECT id FROM unclaimed WHERE seq = $3)"
    };
}

const FACTS_IN_FILE: &str = concat!(
    with_unclaimed!("AND c.claimed_seq < $3"),
    "SELECT p.role, c.open, e.sender_id, e.kind, e.created_ms, e.recalled
     FROM participant p
     JOIN conversation c ON c.id = p.conversation_id
     JOIN entry e ON e.id = ",
    entry_in_file!(),
    " WHERE p.conversation_id = $1 AND p.user_id = $2 AND p.to_seq IS NULL
       AND EXISTS (SELECT 1 FROM participant s WHERE s.conversation_id = $1 AND s.user_id = $2
                     AND s.from_seq <= $3 AND (s.to_seq IS NULL OR s.to_seq >= $3))"
);

const RECALLED_BY_IN_FILE: &str = concat!(
    with_unclaimed!(),
    "SELECT i.seq AS seq FROM entry_index i CROSS JOIN entry e ON e.id = i.entry_id
       WHERE i.conversation_id = $1 AND i.seq > $2 AND e.corrects_seq = $2 AND e.kind = $3
     UNION ALL
     SELECT u.seq AS seq FROM unclaimed u CROSS JOIN entry e ON e.id = u.id
       WHERE u.seq > $2 AND e.corrects_seq = $2 AND e.kind = $3
     ORDER BY seq LIMIT 1"
);

const WITHHOLD_IN_FILE: &str = concat!(
    with_unclaimed!("AND c.claimed_seq < $3"),
    withhold!(),
    "id = ",
    entry_in_file!()
);

/// Every statement here, for the tests that explain them.
pub(crate) const STATEMENTS: &[&str] = &[TAKE, NEWEST];
pub(crate) const STATEMENTS_OF_FILE: &[&str] = &[FACTS_IN_FILE, RECALLED_BY_IN_FILE, WITHHOLD_IN_FILE];
pub(crate) const STATEMENTS_OF_SERVER: &[&str] = &[FACTS, RECALLED_BY, WITHHOLD];

/// What decides whether a message may be taken back.
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
    /// Takes a message back and tells the seq of the RECALLED entry. A repeated request adds nothing and tells the
    /// first one's seq. What must be published comes beside it.
    ///
    /// # Errors
    /// [`Error::NoAccess`] when they are not in it, [`Error::Forbidden`] when it is not theirs or too old,
    /// [`Error::Invalid`] when it lies beyond the newest entry, is not for them to see, or is no message,
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
                    tx.execute(TAKE, params![conversation.get()]).await?;
                    let facts = facts(tx, conversation, by, seq).await?;
                    may_recall(facts)?;
                    // What is withheld is sealed again: a damaged entry would read as whole from then on.
                    journal.verify_entry(tx, conversation, seq).await?;
                    if facts.recalled
                        && let Some(first) = recalled_by(tx, conversation, seq).await?
                    {
                        return Ok((first, Unpublished::default()));
                    }
                    decide(facts, now_ms)?;
                    let recalled_seq = journal.lock_next_seq(tx, conversation, now_ms).await?;
                    let withhold = tx.text(WITHHOLD_IN_FILE, WITHHOLD);
                    tx.execute(withhold, params![conversation.get(), true, seq.get()])
                        .await?;
                    let entry = Entry {
                        corrects_seq: seq,
                        ..blank(conversation, recalled_seq, by, EntryKind::Recalled, now_ms)
                    };
                    let published = insert(tx, entry).await?;
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
    conversation: ConversationId,
    by: UserId,
    seq: Seq,
) -> Result<Facts, Error> {
    let row = tx
        .query_first(
            tx.text(FACTS_IN_FILE, FACTS),
            params![conversation.get(), by.get(), seq.get()],
        )
        .await?;
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

/// Why there are no [`Facts`].
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
    conversation: ConversationId,
    seq: Seq,
) -> Result<Option<Seq>, Error> {
    let row = tx
        .query_first(
            tx.text(RECALLED_BY_IN_FILE, RECALLED_BY),
            params![
                conversation.get(),
                seq.get(),
                i64::from(EntryKind::Recalled as i32)
            ],
        )
        .await?;
    row.map(|row| Ok(Seq::from_database(row.get(0)?))).transpose()
}

/// Whether this is something that this person may take back, ever.
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

/// Whether they may take it back now.
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
