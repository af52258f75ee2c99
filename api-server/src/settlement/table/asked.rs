//! Orders and refunds that a provider is asked for.

use database::{Database, Transaction, params};
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

const ORDERS: &str = "SELECT id, created_ms, asked FROM payment_order WHERE provider = $1 AND ask_ms <= $2
     ORDER BY provider, ask_ms, id LIMIT $3";

pub(crate) async fn orders(
    database: &Database,
    provider: Outside,
    now_ms: i64,
    limit: i64,
) -> Result<Vec<SilentOrder>, Error> {
    let rows = database
        .query(ORDERS, params![provider.as_str(), now_ms, limit])
        .await?;
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
     WHERE r.provider = $1 AND r.ask_ms <= $2 ORDER BY r.provider, r.ask_ms, r.id LIMIT $3";

pub(crate) async fn refunds(
    database: &Database,
    provider: Outside,
    now_ms: i64,
    limit: i64,
) -> Result<Vec<AskedRefund>, Error> {
    let rows = database
        .query(REFUNDS, params![provider.as_str(), now_ms, limit])
        .await?;
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
            walks_an_index(due, params!["p", 1_i64, 2_i64]).await;
        }
    }
}
