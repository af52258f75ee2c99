//! Its books: orders and refunds, each written in one transaction.

use database::{Database, Error, Row, Transaction, params};
use ledger::Fen;

use super::Trick;
use crate::{BillRow, NewOrder, NewRefund};

/// The state of an order in its books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookState {
    /// It can be paid.
    Open,
    /// It was paid.
    Paid,
    /// Its payer refused.
    Refused,
    /// The merchant closed it.
    Closed,
}

impl BookState {
    const ALL: [Self; 4] = [Self::Open, Self::Paid, Self::Refused, Self::Closed];

    /// The word of its books.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Refused => "refused",
            Self::Closed => "closed",
        }
    }
}

/// An order of its books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookOrder {
    /// The merchant's number.
    pub out_trade_no: String,
    /// The amount to be paid.
    pub amount: Fen,
    /// Its state.
    pub state: BookState,
    pub(super) transaction_id: Option<String>,
    pub(super) paid_fen: Option<i64>,
    pub(super) paid_ms: Option<i64>,
}

const COLUMNS: &str = "out_trade_no, amount_fen, state, transaction_id, paid_fen, paid_ms";

fn order_row(row: &Row) -> Result<BookOrder, Error> {
    let state: String = row.get(2)?;
    let state = BookState::ALL.into_iter().find(|known| known.as_str() == state);
    Ok(BookOrder {
        out_trade_no: row.get(0)?,
        amount: Fen::new(row.get(1)?).ok_or(Error::Damaged("mockpay_order.amount_fen"))?,
        state: state.ok_or(Error::Damaged("mockpay_order.state"))?,
        transaction_id: row.get(3)?,
        paid_fen: row.get(4)?,
        paid_ms: row.get(5)?,
    })
}

fn find_sql() -> String {
    format!("SELECT {COLUMNS} FROM mockpay_order WHERE out_trade_no = $1")
}

pub(super) async fn find(database: &Database, out_trade_no: &str) -> Result<Option<BookOrder>, Error> {
    let row = database.query_first(find_sql(), params![out_trade_no]).await?;
    row.as_ref().map(order_row).transpose()
}

/// Locks an order to the end of the transaction.
async fn lock(tx: &mut Transaction<'_>, out_trade_no: &str) -> Result<Option<BookOrder>, Error> {
    let rows = tx.lock(find_sql(), params![out_trade_no]).await?;
    rows.first().map(order_row).transpose()
}

/// Books an order, or finds the one of this number.
pub(super) async fn create(database: &Database, order: &NewOrder, now_ms: i64) -> Result<BookOrder, Error> {
    let (number, amount) = (order.out_trade_no.clone(), order.amount.get());
    database
        .transaction(move |tx| {
            Box::pin(async move {
                tx.execute(
                    "INSERT INTO mockpay_order (out_trade_no, amount_fen, state, created_ms) VALUES ($1, $2, $3, $4)
                     ON CONFLICT (out_trade_no) DO NOTHING",
                    params![number.as_str(), amount, BookState::Open.as_str(), now_ms],
                )
                .await?;
                let booked = lock(tx, &number).await?;
                booked.ok_or(Error::Engine("an order that was booked is not there".into()))
            })
        })
        .await
}

/// Ends an open order unpaid; returns the state that it has afterwards.
pub(super) async fn close(
    database: &Database,
    out_trade_no: &str,
    end: BookState,
) -> Result<Option<BookState>, Error> {
    let number = out_trade_no.to_owned();
    database
        .transaction(move |tx| {
            Box::pin(async move {
                let Some(order) = lock(tx, &number).await? else {
                    return Ok(None);
                };
                if order.state != BookState::Open {
                    return Ok(Some(order.state));
                }
                tx.execute(
                    "UPDATE mockpay_order SET state = $1 WHERE out_trade_no = $2",
                    params![end.as_str(), number],
                )
                .await?;
                Ok(Some(end))
            })
        })
        .await
}

/// Pays an order that may still be paid; returns it as it is afterwards.
pub(super) async fn pay(
    database: &Database,
    out_trade_no: &str,
    trick: Trick,
    now_ms: i64,
) -> Result<Option<BookOrder>, Error> {
    let number = out_trade_no.to_owned();
    database
        .transaction(move |tx| {
            Box::pin(async move {
                let Some(order) = lock(tx, &number).await? else {
                    return Ok(None);
                };
                let may = order.state == BookState::Open
                    || (trick == Trick::Late && order.state == BookState::Closed);
                if !may {
                    return Ok(Some(order));
                }
                let paid_fen = trick.paid_fen(order.amount);
                let transaction = format!("mock{number}");
                tx.execute(
                    "UPDATE mockpay_order SET state = $1, transaction_id = $2, paid_fen = $3, paid_ms = $4
                     WHERE out_trade_no = $5",
                    params![
                        BookState::Paid.as_str(),
                        transaction,
                        paid_fen,
                        now_ms,
                        number.as_str()
                    ],
                )
                .await?;
                lock(tx, &number).await
            })
        })
        .await
}

const REFUNDED: &str =
    "SELECT CAST(coalesce(sum(amount_fen), 0) AS BIGINT) FROM mockpay_refund WHERE out_trade_no = $1";

const REFUND: &str = "SELECT out_trade_no, amount_fen FROM mockpay_refund WHERE out_refund_no = $1";

/// Refunds once; false where it must not.
pub(super) async fn refund(database: &Database, refund: NewRefund, now_ms: i64) -> Result<bool, Error> {
    database
        .transaction(move |tx| {
            Box::pin(async move {
                let amount_fen = refund.amount.get();
                let order = lock(tx, &refund.out_trade_no).await?;
                let Some(paid_fen) = order.and_then(|order| order.paid_fen) else {
                    return Ok(false);
                };
                let known = tx
                    .query_first(REFUND, params![refund.out_refund_no.as_str()])
                    .await?;
                if let Some(known) = known {
                    let (of, fen): (String, i64) = (known.get(0)?, known.get(1)?);
                    return Ok(of == refund.out_trade_no && fen == amount_fen);
                }
                let row = tx
                    .query_first(REFUNDED, params![refund.out_trade_no.as_str()])
                    .await?;
                let before: i64 = row.map_or(Ok(0), |row| row.get(0))?;
                if before + amount_fen > paid_fen {
                    return Ok(false);
                }
                tx.execute(
                    "INSERT INTO mockpay_refund (out_refund_no, out_trade_no, amount_fen, created_ms)
                     VALUES ($1, $2, $3, $4)",
                    params![refund.out_refund_no, refund.out_trade_no, amount_fen, now_ms],
                )
                .await?;
                Ok(true)
            })
        })
        .await
}

/// The order that a refund is of.
pub(super) async fn order_of_refund(
    database: &Database,
    out_refund_no: &str,
) -> Result<Option<String>, Error> {
    let row = database.query_first(REFUND, params![out_refund_no]).await?;
    row.map(|row| row.get(0)).transpose()
}

const PAID: &str =
    "SELECT out_trade_no, NULL, paid_fen FROM mockpay_order WHERE paid_ms >= $1 AND paid_ms < $2
     ORDER BY paid_ms, out_trade_no";

const REFUNDS: &str = "SELECT out_trade_no, out_refund_no, amount_fen FROM mockpay_refund
     WHERE created_ms >= $1 AND created_ms < $2 ORDER BY created_ms, out_refund_no";

/// Orders paid and refunds made between two times.
pub(super) async fn bill(database: &Database, from_ms: i64, to_ms: i64) -> Result<Vec<BillRow>, Error> {
    let mut bill = Vec::new();
    for sql in [PAID, REFUNDS] {
        for row in database.query(sql, params![from_ms, to_ms]).await? {
            bill.push(BillRow {
                out_trade_no: row.get(0)?,
                out_refund_no: row.get(1)?,
                amount: Fen::new(row.get(2)?).ok_or(Error::Damaged("an amount of mockpay"))?,
            });
        }
    }
    Ok(bill)
}
