//! Orders and refunds that a provider is asked for, by the database's clock.

use database::{Database, Row, Transaction, params};
use jobs::Turn;
use ledger::Outside;

use crate::http::error::Error;

/// An order that is due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SilentOrder {
    pub(crate) id: i64,
    pub(crate) created_ms: i64,
    /// How often it was asked for.
    pub(crate) asked: i64,
}

/// A refund that is due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AskedRefund {
    pub(crate) id: i64,
    pub(crate) created_ms: i64,
    pub(crate) amount_fen: i64,
    /// How often it was handed over or asked for.
    pub(crate) asked: i64,
    pub(crate) order: i64,
    pub(crate) order_created_ms: i64,
    /// Of the order.
    pub(crate) total_fen: i64,
}

/// The rows of a statement that are due. A time further ahead than the longest wait is that of a clock which was set back
/// since: it is due, too, behind the others.
async fn due(
    turn: &Turn,
    sql: &'static str,
    provider: Outside,
    longest_wait_ms: i64,
) -> Result<Vec<Row>, Error> {
    let database = turn.database();
    let now_ms = database.now_ms().await?;
    let too_far_ms = now_ms.saturating_add(longest_wait_ms).saturating_add(1);
    let mut rows = Vec::new();
    for (from_ms, to_ms) in [(i64::MIN, now_ms), (too_far_ms, i64::MAX)] {
        let rest = turn.bound() - i64::try_from(rows.len()).unwrap_or(i64::MAX);
        if rest > 0 {
            let params = params![provider.as_str(), from_ms, to_ms, rest];
            rows.extend(database.query(sql, params).await?);
        }
    }
    Ok(rows)
}

const ORDERS: &str =
    "SELECT id, created_ms, asked FROM payment_order WHERE provider = $1 AND ask_ms BETWEEN $2 AND $3
     ORDER BY provider, ask_ms, id LIMIT $4";

/// Orders that are due, as many as a turn does. `longest_wait_ms`: the longest from now until one is due.
pub(crate) async fn orders(
    turn: &Turn,
    provider: Outside,
    longest_wait_ms: i64,
) -> Result<Vec<SilentOrder>, Error> {
    let rows = due(turn, ORDERS, provider, longest_wait_ms).await?;
    rows.iter()
        .map(|row| {
            Ok(SilentOrder {
                id: row.get(0)?,
                created_ms: row.get(1)?,
                asked: row.get(2)?,
            })
        })
        .collect()
}

const REFUNDS: &str = "SELECT r.id, r.created_ms, r.amount_fen, r.asked, o.id, o.created_ms, o.amount_fen
     FROM payment_refund r JOIN payment_order o ON o.id = r.order_id
     WHERE r.provider = $1 AND r.ask_ms BETWEEN $2 AND $3 ORDER BY r.provider, r.ask_ms, r.id LIMIT $4";

/// Refunds that are due, as [`orders`].
pub(crate) async fn refunds(
    turn: &Turn,
    provider: Outside,
    longest_wait_ms: i64,
) -> Result<Vec<AskedRefund>, Error> {
    let rows = due(turn, REFUNDS, provider, longest_wait_ms).await?;
    rows.iter()
        .map(|row| {
            Ok(AskedRefund {
                id: row.get(0)?,
                created_ms: row.get(1)?,
                amount_fen: row.get(2)?,
                asked: row.get(3)?,
                order: row.get(4)?,
                order_created_ms: row.get(5)?,
                total_fen: row.get(6)?,
            })
        })
        .collect()
}

/// Times are positive; what has ended has none.
const WAITING: [&str; 2] = [
    "SELECT count(*) FROM payment_order WHERE provider = $1 AND ask_ms >= 0",
    "SELECT count(*) FROM payment_refund WHERE provider = $1 AND ask_ms >= 0",
];

/// Counts the orders and the refunds of a provider that are to be asked for at any time.
pub(crate) async fn waiting(database: &Database, provider: Outside) -> Result<(i64, i64), database::Error> {
    let mut counts = [0, 0];
    for (count, sql) in counts.iter_mut().zip(WAITING) {
        let row = database.query_first(sql, params![provider.as_str()]).await?;
        *count = row.map_or(Ok(0), |row| row.get(0))?;
    }
    Ok(counts.into())
}

/// Of an order that is still open.
pub(crate) async fn ask_later(
    tx: &mut Transaction<'_>,
    order: i64,
    asked: i64,
    ask_ms: i64,
) -> Result<(), Error> {
    tx.execute(
        "UPDATE payment_order SET asked = $2, ask_ms = $3 WHERE id = $1 AND state = 'open'",
        params![order, asked, ask_ms],
    )
    .await?;
    Ok(())
}

/// Closes an order that is still open.
pub(crate) async fn close(tx: &mut Transaction<'_>, order: i64) -> Result<(), Error> {
    tx.execute(
        "UPDATE payment_order SET state = 'closed', asked = asked + 1, ask_ms = NULL WHERE id = $1 AND state = 'open'",
        params![order],
    )
    .await?;
    Ok(())
}

/// Asks no more for an order.
pub(crate) async fn stop(tx: &mut Transaction<'_>, order: i64) -> Result<(), Error> {
    tx.execute(
        "UPDATE payment_order SET asked = asked + 1, ask_ms = NULL WHERE id = $1",
        params![order],
    )
    .await?;
    Ok(())
}

/// Of a refund that has not ended.
pub(crate) async fn ask_later_for_refund(
    tx: &mut Transaction<'_>,
    refund: i64,
    asked: i64,
    ask_ms: i64,
) -> Result<(), Error> {
    tx.execute(
        "UPDATE payment_refund SET asked = $2, ask_ms = $3 WHERE id = $1 AND state = 'asked'",
        params![refund, asked, ask_ms],
    )
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        for due in [ORDERS, REFUNDS] {
            walks_an_index(due, params!["p", 1_i64, 2_i64, 3_i64]).await;
        }
        for waiting in WAITING {
            walks_an_index(waiting, params!["p"]).await;
        }
    }
}
