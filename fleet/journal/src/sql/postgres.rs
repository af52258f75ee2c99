//! PostgreSQL: entries are found by their key, and the number of a change is the id of its transaction.

use database::{Transaction, params};

use super::{Dialect, moved_under_lock};
use crate::{
    Error,
    entry::{self, Checksums, Entry},
};

const INSERT: &str = concat!(
    "INSERT INTO entry (",
    entry::columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
);

const MOVE: &str = "UPDATE conversation SET last_seq = $1 WHERE id = $2 AND last_seq = $3";

/// Every statement here beside [`DIALECT`].
pub(crate) const STATEMENTS: &[&str] = &[INSERT, MOVE];

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
    entries: entries!(""),
    newest_entries: entries!(" DESC"),
    horizon: "SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT) AS BIGINT)",
    overviews: overviews!(order_columns!(), page),
    overview: overviews!(order_columns!(), one),
    unread: "SELECT count(*) FROM (
        SELECT 1 FROM entry WHERE conversation_id = $1 AND seq >= $2 AND seq <= $3
           AND kind = $4 AND sender_id <> $5 AND NOT recalled LIMIT $6) AS new_messages",
    recall_facts: "SELECT p.role, c.open, e.sender_id, e.kind, e.created_ms, e.recalled
        FROM participant p
        JOIN conversation c ON c.id = p.conversation_id
        JOIN entry e ON e.conversation_id = p.conversation_id AND e.seq = $3
        WHERE p.conversation_id = $1 AND p.user_id = $2 AND p.to_seq IS NULL
          AND EXISTS (SELECT 1 FROM participant s WHERE s.conversation_id = $1 AND s.user_id = $2
                        AND s.from_seq <= $3 AND (s.to_seq IS NULL OR s.to_seq >= $3))",
    // The RECALLED entry comes after the one that it recalls, and there is only one.
    recalled_by: "SELECT seq FROM entry
        WHERE conversation_id = $1 AND seq > $2 AND corrects_seq = $2 AND kind = $3 ORDER BY seq LIMIT 1",
    withhold: concat!(withhold!(), "conversation_id = $1 AND seq = $3"),
    join: join!(change_no!()),
    leave: leave!(change_no!()),
};

/// Advances `last_seq` to the entry and inserts it.
pub(crate) async fn insert(tx: &mut Transaction<'_>, entry: &Entry) -> Result<(), Error> {
    let (conversation, seq) = (entry.conversation, entry.seq);
    let moved = params![seq.get(), conversation.get(), seq.previous().get()];
    if tx.execute(MOVE, moved).await? != 1 {
        return Err(moved_under_lock());
    }
    tx.execute(INSERT, entry.params()).await?;
    Ok(())
}
