//! Bills, and the orders and refunds that they are compared with.

use database::{Database, Row, Transaction, Value, params};
use ledger::Outside;
use payment::Day;

use super::difference::OPEN_MS;
use crate::{http::error::Error, settlement::bill::Item, wallet};

/// How much of a bill was compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compared {
    /// Paid orders.
    pub(crate) orders: i64,
    /// Their sum.
    pub(crate) amount_fen: i64,
}

/// An order that was paid.
pub(crate) struct PaidOrder {
    pub(crate) id: i64,
    pub(crate) number: String,
    pub(crate) amount_fen: i64,
    pub(crate) paid_ms: i64,
}

/// A refund that is on a bill.
#[derive(Clone, Copy)]
pub(crate) struct BilledRefund {
    pub(crate) id: i64,
    pub(crate) amount_fen: i64,
}

/// A refund that arrived.
pub(crate) struct EndedRefund {
    pub(crate) id: i64,
    pub(crate) number: String,
    pub(crate) amount_fen: i64,
    pub(crate) ended_ms: i64,
    pub(crate) is_billed: bool,
}

const LAST_DAY: &str = "SELECT max(day) FROM bill WHERE provider = $1";

pub(crate) async fn last_day(database: &Database, provider: Outside) -> Result<Option<Day>, Error> {
    let row = database.query_first(LAST_DAY, params![provider.as_str()]).await?;
    let day: Option<i64> = row.map_or(Ok(None), |row| row.get(0))?;
    Ok(day.and_then(Day::new))
}

const EARLY: &str = "SELECT day FROM bill WHERE provider = $1 AND (day >= $2 OR compared_ms > $3) LIMIT 1";
const FORGET_EARLY: &str = "DELETE FROM bill WHERE provider = $1 AND (day >= $2 OR compared_ms > $3)";

fn early(provider: Outside, now_ms: i64) -> Vec<Value> {
    params![provider.as_str(), Day::at(now_ms).get(), now_ms]
}

/// Whether a bill was compared before its day was over, or later than now.
pub(crate) async fn has_early(database: &Database, provider: Outside, now_ms: i64) -> Result<bool, Error> {
    let found = database.query_first(EARLY, early(provider, now_ms)).await?;
    Ok(found.is_some())
}

/// Forgets that those were compared.
pub(crate) async fn forget_early(
    tx: &mut Transaction<'_>,
    provider: Outside,
    now_ms: i64,
) -> Result<(), Error> {
    tx.execute(FORGET_EARLY, early(provider, now_ms)).await?;
    Ok(())
}

const FIRST_PAID: &str = "SELECT paid_ms FROM payment_order WHERE provider = $1 AND paid_ms >= 0
     ORDER BY provider, paid_ms, id LIMIT 1";

pub(crate) async fn first_paid_ms(database: &Database, provider: Outside) -> Result<Option<i64>, Error> {
    let row = database
        .query_first(FIRST_PAID, params![provider.as_str()])
        .await?;
    Ok(row.map(|row| row.get(0)).transpose()?)
}

const PAID_ORDERS: &str = "SELECT id, amount_fen, paid_ms, created_ms FROM payment_order
     WHERE provider = $1 AND (paid_ms, id) > ($2, $3) AND paid_ms < $4
     ORDER BY provider, paid_ms, id LIMIT $5";

/// Orders that were paid after a place and before a time, in that order.
pub(crate) async fn paid_orders(
    database: &Database,
    provider: Outside,
    after: (i64, i64),
    before_ms: i64,
    limit: usize,
) -> Result<Vec<PaidOrder>, Error> {
    let rows = page(database, PAID_ORDERS, provider, after, before_ms, limit).await?;
    rows.iter()
        .map(|row| {
            let id = row.get(0)?;
            Ok(PaidOrder {
                id,
                number: wallet::out_trade_no(id, row.get(3)?),
                amount_fen: row.get(1)?,
                paid_ms: row.get(2)?,
            })
        })
        .collect()
}

async fn page(
    database: &Database,
    sql: &'static str,
    provider: Outside,
    (at_ms, id): (i64, i64),
    before_ms: i64,
    limit: usize,
) -> Result<Vec<Row>, Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let params = params![provider.as_str(), at_ms, id, before_ms, limit];
    Ok(database.query(sql, params).await?)
}

const ORDER: &str =
    "SELECT amount_fen, created_ms FROM payment_order WHERE id = $1 AND provider = $2 AND state = 'paid'";

/// The amount of a paid order.
pub(crate) async fn paid_order(
    database: &Database,
    provider: Outside,
    number: &str,
) -> Result<Option<i64>, Error> {
    let Some(id) = wallet::order_of(number) else {
        return Ok(None);
    };
    let row = database
        .query_first(ORDER, params![id, provider.as_str()])
        .await?;
    let Some(row) = row else { return Ok(None) };
    let is_ours = wallet::out_trade_no(id, row.get(1)?) == number;
    Ok(is_ours.then(|| row.get(0)).transpose()?)
}

const REFUND: &str =
    "SELECT amount_fen, created_ms FROM payment_refund WHERE id = $1 AND provider = $2 AND state <> 'failed'";

/// A refund that did not fail.
pub(crate) async fn refund(
    database: &Database,
    provider: Outside,
    number: &str,
) -> Result<Option<BilledRefund>, Error> {
    let Some(id) = wallet::refund_of(number) else {
        return Ok(None);
    };
    let row = database
        .query_first(REFUND, params![id, provider.as_str()])
        .await?;
    let Some(row) = row else { return Ok(None) };
    if wallet::out_refund_no(id, row.get(1)?) != number {
        return Ok(None);
    }
    let amount_fen = row.get(0)?;
    Ok(Some(BilledRefund { id, amount_fen }))
}

pub(crate) async fn set_billed(tx: &mut Transaction<'_>, refund: i64, day: Day) -> Result<(), Error> {
    tx.execute(
        "UPDATE payment_refund SET billed = $2 WHERE id = $1 AND billed IS NULL",
        params![refund, day.get()],
    )
    .await?;
    Ok(())
}

const ENDED_REFUNDS: &str =
    "SELECT id, amount_fen, ended_ms, created_ms, billed IS NOT NULL FROM payment_refund
     WHERE provider = $1 AND (ended_ms, id) > ($2, $3) AND ended_ms < $4 AND state = 'done'
     ORDER BY provider, ended_ms, id LIMIT $5";

/// Refunds that arrived after a place and before a time, in that order.
pub(crate) async fn ended_refunds(
    database: &Database,
    provider: Outside,
    after: (i64, i64),
    before_ms: i64,
    limit: usize,
) -> Result<Vec<EndedRefund>, Error> {
    let rows = page(database, ENDED_REFUNDS, provider, after, before_ms, limit).await?;
    rows.iter()
        .map(|row| {
            let id = row.get(0)?;
            Ok(EndedRefund {
                id,
                number: wallet::out_refund_no(id, row.get(3)?),
                amount_fen: row.get(1)?,
                ended_ms: row.get(2)?,
                is_billed: row.get(4)?,
            })
        })
        .collect()
}

/// Once per day, number and difference.
pub(crate) async fn insert_item(
    tx: &mut Transaction<'_>,
    id: i64,
    provider: Outside,
    day: Day,
    item: Item,
    now_ms: i64,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO bill_item (id, provider, day, kind, number, difference, our_fen, their_fen, listed_ms, created_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (provider, day, kind, number, difference) DO NOTHING",
        params![
            id,
            provider.as_str(),
            day.get(),
            item.kind.as_str(),
            item.number,
            item.difference.as_str(),
            item.our_fen,
            item.their_fen,
            OPEN_MS,
            now_ms
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn insert_bill(
    tx: &mut Transaction<'_>,
    provider: Outside,
    day: Day,
    compared: Compared,
    now_ms: i64,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO bill (provider, day, orders, amount_fen, compared_ms) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (provider, day) DO NOTHING",
        params![
            provider.as_str(),
            day.get(),
            compared.orders,
            compared.amount_fen,
            now_ms
        ],
    )
    .await?;
    Ok(())
}

const OPEN_ITEMS: &str = "SELECT count(*) FROM bill_item WHERE listed_ms = $1 AND provider = $2";

pub(crate) async fn open_items(database: &Database, provider: Outside) -> Result<i64, Error> {
    let params = params![OPEN_MS, provider.as_str()];
    let row = database.query_first(OPEN_ITEMS, params).await?;
    Ok(row.map_or(Ok(0), |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(LAST_DAY, params!["p"]).await;
        for early in [EARLY, FORGET_EARLY] {
            walks_an_index(early, params!["p", 1_i64, 1_i64]).await;
        }
        walks_an_index(FIRST_PAID, params!["p"]).await;
        for page in [PAID_ORDERS, ENDED_REFUNDS] {
            walks_an_index(page, params!["p", 1_i64, 1_i64, 2_i64, 3_i64]).await;
        }
        for one in [ORDER, REFUND] {
            walks_an_index(one, params![1_i64, "p"]).await;
        }
        walks_an_index(OPEN_ITEMS, params![OPEN_MS, "p"]).await;
    }
}
