//! PostgreSQL: entries are found by their key, and the number of a change is the id of its transaction.

use database::{Transaction, params};
use proto::{ConversationId, Seq};

use super::Dialect;
use crate::{
    Error,
    conversation::glimpse::Look,
    entry::{self, Checksums, Entry},
};

const INSERT: &str = concat!(
    "INSERT INTO entry (",
    entry::columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
);

const MOVE: &str = "UPDATE conversation SET last_seq = $1, updated_ms = $4 WHERE id = $2 AND last_seq = $3";

/// The same for an entry that is certain: its row is locked, and its seq taken, by one statement.
const TAKE: &str =
    "UPDATE conversation SET last_seq = last_seq + 1, updated_ms = $2 WHERE id = $1 RETURNING last_seq";

/// Every statement here beside [`DIALECT`].
pub(crate) const STATEMENTS: &[&str] = &[INSERT, MOVE, TAKE];

/// `xmin` costs an append nothing, and programs of the previous release update it as well.
macro_rules! order_columns {
    () => {
        "CAST(CAST(c.xmin AS TEXT) AS BIGINT), CAST(CAST(p.xmin AS TEXT) AS BIGINT),
         CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS BIGINT)"
    };
}

macro_rules! change_no {
    () => {
        "CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)"
    };
}

macro_rules! entries {
    ($order:literal) => {
        concat!(
            "SELECT ",
            entry::columns!(),
            " FROM entry WHERE conversation_id = $1 AND seq >= $2 AND seq <= $3 ORDER BY seq",
            $order,
            " LIMIT $4"
        )
    };
}

pub(super) const DIALECT: Dialect = Dialect {
    checksums: Checksums::OfNewEntries,
    directory: None,
    glimpse: Look::Together([
        "(SELECT e.seq FROM entry e
            WHERE e.conversation_id = v.conversation AND e.seq >= v.low AND e.seq <= v.high AND e.kind = 1
            ORDER BY e.seq DESC LIMIT 1)",
        "e.conversation_id = w.conversation AND e.seq = w.last_entry",
        "(SELECT count(*) FROM (
            SELECT 1 FROM entry e WHERE e.conversation_id = v.conversation AND e.seq >= v.unread_from AND e.seq <= v.high
               AND e.kind = 1 AND e.sender_id <> $1 AND NOT e.recalled LIMIT 100) AS new_messages)",
    ]),
    entries: entries!(""),
    newest_entries: entries!(" DESC"),
    horizon: "SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT) AS BIGINT)",
    overviews: overviews!(order_columns!(), page),
    overview: overviews!(order_columns!(), one),
    sharing: sharing!(""),
    has_met: has_met!(""),
    of_medium: of_medium!(),
    unread: "SELECT count(*) FROM (
        SELECT 1 FROM entry WHERE conversation_id = $1 AND seq >= $2 AND seq <= $3
           AND kind = $4 AND sender_id <> $5 AND NOT recalled LIMIT $6) AS new_messages",
    has_served: "SELECT 1 FROM entry
        WHERE conversation_id = $1 AND sender_id = $2 AND kind IN ($3, $4) LIMIT 1",
    recall_facts: "SELECT p.role, c.open, e.sender_id, e.kind, e.created_ms, e.recalled
        FROM participant p
        JOIN conversation c ON c.id = p.conversation_id
        JOIN entry e ON e.conversation_id = p.conversation_id AND e.seq = $3
        WHERE p.conversation_id = $1 AND p.user_id = $2 AND p.to_seq IS NULL
          AND EXISTS (SELECT 1 FROM participant s WHERE s.conversation_id = $1 AND s.user_id = $2
                        AND COALESCE(s.sees_from_seq, s.from_seq) <= $3 AND (s.to_seq IS NULL OR s.to_seq >= $3))",
    // The RECALLED entry comes after the one that it recalls, and there is only one.
    recalled_by: "SELECT seq FROM entry
        WHERE conversation_id = $1 AND seq > $2 AND corrects_seq = $2 AND kind = $3 ORDER BY seq LIMIT 1",
    withhold: concat!(withhold!(), "conversation_id = $1 AND seq = $3"),
    sees_media: concat!(
        "SELECT m.seq ",
        naming_media!(),
        "JOIN entry e ON e.conversation_id = m.conversation_id AND e.seq = m.seq AND NOT e.recalled
         WHERE m.media_id = $3 AND m.conversation_id = $1 LIMIT 1"
    ),
    join: join!(change_no!()),
    leave: leave!(change_no!()),
    hide: hide!(change_no!()),
    unhide: unhide!(change_no!()),
};

/// Advances `last_seq` to the entry and inserts it.
pub(crate) async fn insert(tx: &mut Transaction<'_>, entry: &Entry) -> Result<(), Error> {
    let (conversation, seq) = (entry.conversation, entry.seq);
    let moved = params![
        seq.get(),
        conversation.get(),
        seq.previous().get(),
        entry.created_ms
    ];
    // The row is locked, so the move finds it.
    tx.enqueue_one(MOVE, moved).await?;
    insert_taken(tx, entry).await
}

/// Inserts an entry whose seq was taken.
pub(crate) async fn insert_taken(tx: &mut Transaction<'_>, entry: &Entry) -> Result<(), Error> {
    Ok(tx.enqueue(INSERT, entry.params()).await?)
}

/// Prefetches [`take_seq`].
pub(crate) fn prefetch_seq(tx: &mut Transaction<'_>, conversation: ConversationId, now_ms: i64) {
    tx.prefetch(TAKE, params![conversation.get(), now_ms]);
}

/// Takes the next seq for an entry that is certain; `None` where there is no such conversation.
pub(crate) async fn take_seq(
    tx: &mut Transaction<'_>,
    conversation: ConversationId,
    now_ms: i64,
) -> Result<Option<Seq>, Error> {
    let row = tx.query_first(TAKE, params![conversation.get(), now_ms]).await?;
    Ok(row.map(|row| row.get(0)).transpose()?.map(Seq::from_database))
}
