//! How a file stores the entries of a conversation.
//!
//! Entries lie in the order of arrival, over all conversations. Two indexes lead to them: `entry_index` by seq and `sent` by
//! client_msg_id. Indexing each entry would be the costliest part of an append: each row dirties another page, and the log
//! takes whole pages. So entries are indexed [`INDEX_AT`] at a time, conversation by conversation: those of one
//! conversation are neighbours in the indexes and share a page.
//!
//! Entries up to `conversation.claimed_seq` are indexed. Later ones form a chain, from `conversation.unclaimed_entry_id` back
//! by each entry's `previous_id`. All of this moves with `last_seq` in one transaction, so it is right after a crash and
//! after writes of another handle.
//!
//! PostgreSQL logs rows, not pages; there every entry is indexed when it is written.

use database::{Transaction, params};
use proto::{ConversationId, Seq, wire};
use telemetry::events::journal::Event;

use super::super::moved_under_lock;
use crate::{
    Error,
    entry::{self, Entry},
};

/// Entries of one conversation that are indexed together. More would fill whole pages, but every read of the newest entries
/// walks the chain.
pub(crate) const INDEX_AT: usize = 32;

/// Begins a statement with the table `unindexed (id, seq, previous_id)`: the chain of conversation `$1`, the newest entry
/// first; or of another expression's. The condition says when the chain is needed. Join it with entries by CROSS JOIN: SQLite estimates a recursive
/// table as large and would scan `entry` instead.
macro_rules! with_unindexed {
    () => {
        $crate::sql::sqlite::chain::with_unindexed!("")
    };
    ($condition:literal) => {
        $crate::sql::sqlite::chain::with_unindexed!("$1", $condition)
    };
    ($conversation:literal, $condition:literal) => {
        concat!(
            "WITH RECURSIVE unindexed (id, seq, previous_id) AS (
                 SELECT e.id, e.seq, e.previous_id FROM conversation c CROSS JOIN entry e ON e.id = c.unclaimed_entry_id
                 WHERE c.id = ",
            $conversation,
            " AND e.conversation_id = c.id AND e.seq = c.last_seq ",
            $condition,
            " UNION ALL
                 SELECT e.id, e.seq, e.previous_id FROM unindexed u CROSS JOIN entry e ON e.id = u.previous_id
                 WHERE e.conversation_id = ",
            $conversation,
            " AND e.seq = u.seq - 1) "
        )
    };
}
pub(crate) use with_unindexed;

/// The chain is shorter than `last_seq` and `claimed_seq` say: another program wrote to the file, or the disk lost a write.
pub(crate) const BROKEN_CHAIN: &str = "the chain of unindexed entries is broken";

const INSERT: &str = concat!(
    "INSERT INTO entry (",
    entry::columns!(),
    ", previous_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
        (SELECT unclaimed_entry_id FROM conversation WHERE id = $1))"
);

/// Runs right after [`INSERT`], so the last row is the entry's.
const MOVE: &str =
    "UPDATE conversation SET last_seq = $1, unclaimed_entry_id = last_insert_rowid(), updated_ms = $4
    WHERE id = $2 AND last_seq = $3 RETURNING claimed_seq";

const INDEX: &str = concat!(
    with_unindexed!(),
    "INSERT INTO entry_index (conversation_id, seq, entry_id) SELECT $1, seq, id FROM unindexed"
);

const SEND: &str = concat!(
    with_unindexed!(),
    "INSERT INTO sent (conversation_id, sender_id, client_msg_id, seq)
     SELECT $1, e.sender_id, e.client_msg_id, e.seq FROM unindexed u CROSS JOIN entry e ON e.id = u.id
     WHERE e.kind = $2 AND e.client_msg_id <> ''
     ON CONFLICT DO NOTHING"
);

const SETTLE: &str =
    "UPDATE conversation SET claimed_seq = last_seq, unclaimed_entry_id = NULL WHERE id = $1";

/// Every statement here.
pub(crate) const STATEMENTS: &[&str] = &[HEAD, INSERT, MOVE, INDEX, SEND, SETTLE];

const HEAD: &str = "SELECT last_seq FROM conversation WHERE id = $1";

/// The seq of a conversation's next entry; `None` where there is no such conversation.
pub(crate) async fn next_seq(
    tx: &mut Transaction<'_>,
    conversation: ConversationId,
) -> Result<Option<Seq>, Error> {
    let row = tx.query_first(HEAD, params![conversation.get()]).await?;
    let last = row.map(|row| row.get(0)).transpose()?;
    Ok(last.map(|last| Seq::from_database(last).next()))
}

/// Inserts an entry at the head of the chain, and indexes the chain when it is long enough.
pub(crate) async fn insert(tx: &mut Transaction<'_>, entry: &Entry) -> Result<(), Error> {
    let (conversation, seq) = (entry.conversation, entry.seq);
    tx.execute(INSERT, entry.params()).await?;
    let moved = params![
        seq.get(),
        conversation.get(),
        seq.previous().get(),
        entry.created_ms
    ];
    let row = tx.query_first(MOVE, moved).await?;
    let indexed = Seq::from_database(row.ok_or_else(moved_under_lock)?.get(0)?);
    let unindexed = u64::try_from(seq.get() - indexed.get()).unwrap_or(0);
    if unindexed >= INDEX_AT as u64 {
        index(tx, conversation, unindexed).await?;
    }
    Ok(())
}

async fn index(tx: &mut Transaction<'_>, conversation: ConversationId, unindexed: u64) -> Result<(), Error> {
    let message = i64::from(wire::EntryKind::Message as i32);
    let indexed = tx.execute(INDEX, params![conversation.get()]).await?;
    if indexed != unindexed {
        Event::BrokenChain {
            conversation_id: conversation.get(),
            found: indexed,
            expected: unindexed,
        }
        .emit();
        return Err(Error::Database(database::Error::Damaged(BROKEN_CHAIN)));
    }
    tx.execute(SEND, params![conversation.get(), message]).await?;
    tx.execute(SETTLE, params![conversation.get()]).await?;
    Ok(())
}
