//! How a file keeps the entries of a conversation.
//!
//! In a file, entries lie in the order in which they came, over all conversations, and two indexes lead to them:
//! `entry_index` by seq, `sent` by client_msg_id. An index that each entry goes into is the costliest part of an append:
//! each one makes another page of it dirty, and the log takes whole pages. So entries are *claimed*, that is, go into both
//! indexes, some at a time, conversation by conversation: those of one conversation are neighbours there and share a page.
//!
//! `conversation.claimed_seq` tells how far; the entries after it are found from the newest back, by
//! `conversation.unclaimed_entry_id` and each entry's `previous_id`. There are some dozens of them at most. All of that
//! moves with `last_seq` in one transaction, so it is never wrong: neither after a crash nor when another handle has
//! written.
//!
//! A server logs rows, not pages: there `entry` and `sent` have their keys, and are always whole.

use database::{Transaction, params};
use proto::{ConversationId, wire};

use crate::Error;

/// Entries of one conversation that are claimed together. More would fill whole pages, but are gone through whenever
/// somebody reads the newest entries.
pub(crate) const CLAIM_AT: usize = 32;

/// Begins a statement for a file with `unclaimed (id, seq, previous_id)`: the entries of the conversation `$1` that are not
/// claimed yet, the newest first. A condition says when nothing of them is needed. What is joined with entries is a CROSS
/// JOIN: SQLite then goes from it to the entries; left to itself it may go through all entries, since it takes a recursive
/// table for a large one.
macro_rules! with_unclaimed {
    () => {
        crate::unclaimed::with_unclaimed!("")
    };
    ($condition:literal) => {
        concat!(
            "WITH RECURSIVE unclaimed (id, seq, previous_id) AS (
                 SELECT e.id, e.seq, e.previous_id FROM conversation c CROSS JOIN entry e ON e.id = c.unclaimed_entry_id
                 WHERE c.id = $1 AND e.conversation_id = c.id AND e.seq = c.last_seq ",
            $condition,
            " UNION ALL
                 SELECT e.id, e.seq, e.previous_id FROM unclaimed u CROSS JOIN entry e ON e.id = u.previous_id
                 WHERE e.conversation_id = $1 AND e.seq = u.seq - 1) "
        )
    };
}
pub(crate) use with_unclaimed;

/// What is said when the chain does not hold what it must: another program has written to the file, or the disk has lost
/// something.
pub(crate) const BROKEN_CHAIN: &str = "the unclaimed entries of a conversation are not all there";

const INDEX: &str = concat!(
    with_unclaimed!(),
    "INSERT INTO entry_index (conversation_id, seq, entry_id) SELECT $1, seq, id FROM unclaimed"
);

const SEND: &str = concat!(
    with_unclaimed!(),
    "INSERT INTO sent (conversation_id, sender_id, client_msg_id, seq)
     SELECT $1, e.sender_id, e.client_msg_id, e.seq FROM unclaimed u CROSS JOIN entry e ON e.id = u.id WHERE e.kind = $2
     ON CONFLICT DO NOTHING"
);

const SETTLE: &str =
    "UPDATE conversation SET claimed_seq = last_seq, unclaimed_entry_id = NULL WHERE id = $1";

/// Every statement here, for the tests that explain them.
pub(crate) const STATEMENTS: &[&str] = &[INDEX, SEND, SETTLE];

/// Claims the `unclaimed` entries of a conversation in a file, in a transaction that has moved its `last_seq`.
pub(crate) async fn claim(
    tx: &mut Transaction<'_>,
    conversation: ConversationId,
    unclaimed: u64,
) -> Result<(), Error> {
    let message = i64::from(wire::EntryKind::Message as i32);
    let indexed = tx.execute(INDEX, params![conversation.get()]).await?;
    if indexed != unclaimed {
        tracing::error!(
            conversation_id = conversation.get(),
            indexed,
            unclaimed,
            "{BROKEN_CHAIN}"
        );
        return Err(Error::Database(database::Error::Damaged(BROKEN_CHAIN)));
    }
    tx.execute(SEND, params![conversation.get(), message]).await?;
    tx.execute(SETTLE, params![conversation.get()]).await?;
    Ok(())
}
