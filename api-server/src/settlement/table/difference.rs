//! Differences, as operators list and close them.

use database::{Row, Transaction, params};
use proto::UserId;

use crate::{
    http::{
        answer::List,
        error::{Error, ErrorCode},
        input::Cursor,
    },
    settlement::difference::BillItem,
};

/// The place of open items in the list: before those that were closed at any time.
pub(crate) const OPEN_MS: i64 = i64::MAX;

const ITEMS: &str =
    "SELECT id, provider, day, kind, number, difference, our_fen, their_fen, word, closed_by, listed_ms,
            created_ms
     FROM bill_item WHERE (listed_ms, id) < ($1, $2) ORDER BY listed_ms DESC, id DESC LIMIT $3";

const COUNT: &str = "SELECT count(*) FROM bill_item WHERE listed_ms >= 0";

fn item(row: &Row) -> Result<BillItem, Error> {
    let listed_ms: i64 = row.get(10)?;
    let day: i64 = row.get(2)?;
    Ok(BillItem {
        bill_item_id: row.get(0)?,
        provider: row.get(1)?,
        day: format!("{:04}-{:02}-{:02}", day / 10_000, day / 100 % 100, day % 100),
        kind: row.get(3)?,
        number: row.get(4)?,
        difference: row.get(5)?,
        our_fen: row.get(6)?,
        their_fen: row.get(7)?,
        word: row.get(8)?,
        closed_by: row.get(9)?,
        closed_ms: (listed_ms != OPEN_MS).then_some(listed_ms),
        created_ms: row.get(11)?,
        listed_ms,
    })
}

/// All of them: the open ones first, then those that were closed last.
pub(crate) fn items() -> List<BillItem> {
    List {
        items: ITEMS.into(),
        count: COUNT.into(),
        keys: Vec::new(),
        item,
        place: |item| Cursor {
            at: item.listed_ms,
            id: item.bill_item_id,
        },
    }
}

/// Closes an open item.
pub(crate) async fn close(
    tx: &mut Transaction<'_>,
    id: i64,
    operator: UserId,
    word: &str,
    now_ms: i64,
) -> Result<(), Error> {
    let closed = tx
        .execute(
            "UPDATE bill_item SET word = $2, closed_by = $3, listed_ms = $4 WHERE id = $1 AND listed_ms = $5",
            params![id, word, operator.get(), now_ms, OPEN_MS],
        )
        .await?;
    if closed == 1 {
        return Ok(());
    }
    let known = tx.query_first("SELECT id FROM bill_item WHERE id = $1", params![id]);
    Err(match known.await? {
        Some(_) => ErrorCode::BillItemClosed.into(),
        None => ErrorCode::BillItemNotFound.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn statements_walk_an_index() {
        items().walks_an_index().await;
    }
}
