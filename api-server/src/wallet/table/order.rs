//! Orders.

use database::{Database, Row, Transaction, Value, params};
use ledger::Outside;
use payment::{Payment, Scene, Ticket};
use proto::UserId;
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};

use super::word;
use crate::http::{answer::List, docs::one_of, error::Error, input::Cursor};

/// The sequence of order ids.
pub(in crate::wallet) const SEQUENCE: &str = "payment_order";
/// How long an order can be paid, milliseconds.
pub(crate) const ORDER_LIFETIME_MS: i64 = 30 * 60 * 1000;
/// After which time a silent order is asked for first, milliseconds.
const FIRST_LOOK_MS: i64 = 60 * 1000;

/// The state of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wallet) enum OrderState {
    Open,
    Paid,
    Closed,
}

impl OrderState {
    pub(in crate::wallet) const ALL: [Self; 3] = [Self::Open, Self::Paid, Self::Closed];

    pub(in crate::wallet) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Closed => "closed",
        }
    }
}

/// `closed`: it was refused, or not paid in time. One that the provider says was paid after all becomes `paid`.
fn states() -> RefOr<Schema> {
    one_of(OrderState::ALL.map(OrderState::as_str))
}

/// The providers that orders are paid by.
pub(in crate::wallet) const PROVIDERS: [Outside; 3] = [Outside::Mockpay, Outside::Wechat, Outside::Alipay];

pub(in crate::wallet) fn providers() -> RefOr<Schema> {
    one_of(PROVIDERS.map(Outside::as_str))
}

fn scenes() -> RefOr<Schema> {
    one_of(Scene::ALL.map(Scene::as_str))
}

/// A top-up by a payment provider.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = TopUpOrder)]
pub(crate) struct Order {
    pub(in crate::wallet) order_id: i64,
    #[schema(schema_with = states)]
    state: &'static str,
    pub(in crate::wallet) amount_fen: i64,
    #[schema(schema_with = providers)]
    provider: &'static str,
    #[schema(schema_with = scenes)]
    scene: &'static str,
    /// For the provider's SDK, or to be opened: its fields are the provider's. Absent until the provider has made
    /// the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(in crate::wallet) ticket: Option<serde_json::Value>,
    pub(in crate::wallet) created_ms: i64,
    /// Until when it can be paid.
    pub(in crate::wallet) expires_ms: i64,
    /// When it was paid, by the provider's clock; absent before.
    #[serde(skip_serializing_if = "Option::is_none")]
    paid_ms: Option<i64>,
    /// The part of it that was paid back, or taken back by operators.
    refunded_fen: i64,
    #[serde(skip)]
    pub(in crate::wallet) user: UserId,
    #[serde(skip)]
    pub(in crate::wallet) transaction_id: Option<String>,
}

impl Order {
    pub(in crate::wallet) fn state(&self) -> OrderState {
        let state = OrderState::ALL
            .into_iter()
            .find(|state| state.as_str() == self.state);
        state.unwrap_or(OrderState::Closed)
    }

    pub(in crate::wallet) fn provider(&self) -> Outside {
        Outside::from_word(self.provider).unwrap_or(Outside::Hand)
    }

    pub(in crate::wallet) fn scene(&self) -> Scene {
        let scene = Scene::ALL.into_iter().find(|scene| scene.as_str() == self.scene);
        scene.unwrap_or(Scene::App)
    }

    fn place(&self) -> Cursor {
        Cursor {
            at: self.created_ms,
            id: self.order_id,
        }
    }
}

const COLUMNS: &str = "id, user_id, provider, scene, amount_fen, state, ticket, transaction_id, refunded_fen, created_ms, paid_ms";

fn order_row(row: &Row) -> Result<Order, Error> {
    let ticket: Option<String> = row.get(6)?;
    let ticket = ticket.map(|text| serde_json::from_str(&text)).transpose();
    let created_ms: i64 = row.get(9)?;
    Ok(Order {
        order_id: row.get(0)?,
        state: word(row, 5, OrderState::ALL.map(OrderState::as_str))?,
        amount_fen: row.get(4)?,
        provider: word(row, 2, PROVIDERS.map(Outside::as_str))?,
        scene: word(row, 3, Scene::ALL.map(Scene::as_str))?,
        ticket: ticket.map_err(Error::internal)?,
        created_ms,
        expires_ms: created_ms + ORDER_LIFETIME_MS,
        paid_ms: row.get(10)?,
        refunded_fen: row.get(8)?,
        user: UserId::from_database(row.get(1)?),
        transaction_id: row.get(7)?,
    })
}

const COUNT_OPEN: &str =
    "SELECT count(*) FROM payment_order WHERE user_id = $1 AND state = 'open' AND created_ms > $2";

/// Counts the orders of a user that can still be paid.
pub(in crate::wallet) async fn count_open(
    tx: &mut Transaction<'_>,
    user: UserId,
    now_ms: i64,
) -> Result<i64, Error> {
    let row = tx
        .query_first(COUNT_OPEN, params![user.get(), now_ms - ORDER_LIFETIME_MS])
        .await?;
    Ok(row.map_or(Ok(0), |row| row.get(0))?)
}

/// A new order.
pub(in crate::wallet) struct NewOrder {
    pub(in crate::wallet) id: i64,
    pub(in crate::wallet) user: UserId,
    pub(in crate::wallet) provider: Outside,
    pub(in crate::wallet) scene: Scene,
    pub(in crate::wallet) amount_fen: i64,
}

/// Background work asks for it, and closes it at last, by the database's clock: so `now_ms` is of that.
pub(in crate::wallet) async fn insert(
    tx: &mut Transaction<'_>,
    new: &NewOrder,
    now_ms: i64,
) -> Result<Order, Error> {
    let sql = format!(
        "INSERT INTO payment_order (id, user_id, provider, scene, amount_fen, state, refunded_fen, created_ms, asked, ask_ms)
         VALUES ($1, $2, $3, $4, $5, $6, 0, $7, 0, $8) RETURNING {COLUMNS}"
    );
    let row = tx
        .query_first(
            sql,
            params![
                new.id,
                new.user.get(),
                new.provider.as_str(),
                new.scene.as_str(),
                new.amount_fen,
                OrderState::Open.as_str(),
                now_ms,
                now_ms + FIRST_LOOK_MS
            ],
        )
        .await?;
    order_row(&row.ok_or_else(|| Error::internal("an order gave no row"))?)
}

fn one_sql() -> String {
    format!("SELECT {COLUMNS} FROM payment_order WHERE id = $1")
}

pub(in crate::wallet) async fn find(database: &Database, order: i64) -> Result<Option<Order>, Error> {
    let row = database.query_first(one_sql(), params![order]).await?;
    row.as_ref().map(order_row).transpose()
}

/// Locks an order to the end of the transaction.
pub(in crate::wallet) async fn lock(tx: &mut Transaction<'_>, order: i64) -> Result<Option<Order>, Error> {
    let rows = tx.lock(one_sql(), params![order]).await?;
    rows.first().map(order_row).transpose()
}

/// Keeps the ticket that the provider made.
pub(in crate::wallet) async fn set_ticket(
    tx: &mut Transaction<'_>,
    order: i64,
    ticket: &Ticket,
) -> Result<(), Error> {
    tx.execute(
        "UPDATE payment_order SET ticket = $1 WHERE id = $2",
        params![ticket.0.to_string(), order],
    )
    .await?;
    Ok(())
}

/// Marks a locked order as paid. Nothing asks for it any more.
pub(in crate::wallet) async fn pay(
    tx: &mut Transaction<'_>,
    order: i64,
    payment: &Payment,
) -> Result<(), Error> {
    tx.enqueue_one(
        "UPDATE payment_order SET state = $1, transaction_id = $2, paid_ms = $3, ask_ms = NULL WHERE id = $4",
        params![
            OrderState::Paid.as_str(),
            payment.transaction_id.as_str(),
            payment.paid_ms,
            order
        ],
    )
    .await?;
    Ok(())
}

/// Closes an order that is open. Nothing asks for it any more.
pub(in crate::wallet) async fn close(tx: &mut Transaction<'_>, order: i64) -> Result<(), Error> {
    tx.execute(
        "UPDATE payment_order SET state = $1, ask_ms = NULL WHERE id = $2 AND state = $3",
        params![OrderState::Closed.as_str(), order, OrderState::Open.as_str()],
    )
    .await?;
    Ok(())
}

/// Closes an order that is open and that its provider never made. One that another request has a ticket of stays.
pub(in crate::wallet) async fn close_unmade(tx: &mut Transaction<'_>, order: i64) -> Result<(), Error> {
    tx.execute(
        "UPDATE payment_order SET state = $1, ask_ms = NULL WHERE id = $2 AND state = $3 AND ticket IS NULL",
        params![OrderState::Closed.as_str(), order, OrderState::Open.as_str()],
    )
    .await?;
    Ok(())
}

/// The orders of a user, the newest first.
pub(in crate::wallet) fn list(user: UserId) -> List<Order> {
    List {
        items: format!(
            "SELECT {COLUMNS} FROM payment_order WHERE user_id = $1 AND (created_ms, id) < ($2, $3)
             ORDER BY created_ms DESC, id DESC LIMIT $4"
        )
        .into(),
        count: "SELECT count(*) FROM payment_order WHERE user_id = $1".into(),
        keys: params![user.get()],
        item: order_row,
        place: Order::place,
    }
}

/// A paid order that can still take money back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wallet) struct Refundable {
    pub(in crate::wallet) order: i64,
    pub(in crate::wallet) provider: Outside,
    pub(in crate::wallet) rest_fen: i64,
}

/// The orders that can take money back: those that were made since a time and paid by a provider that the service offers.
/// Nothing hands money over to another one.
#[derive(Clone, Copy)]
pub(in crate::wallet) struct Back {
    pub(in crate::wallet) user: UserId,
    pub(in crate::wallet) since_ms: i64,
    offered: [Option<&'static str>; PROVIDERS.len()],
}

impl Back {
    /// `offers` says whether the service offers a provider.
    pub(in crate::wallet) fn new(user: UserId, since_ms: i64, offers: impl Fn(Outside) -> bool) -> Self {
        let offered = PROVIDERS.map(|provider| offers(provider).then_some(provider.as_str()));
        Self {
            user,
            since_ms,
            offered,
        }
    }

    fn params(&self) -> Vec<Value> {
        let [one, two, three] = self.offered.map(|provider| provider.unwrap_or(""));
        params![self.user.get(), self.since_ms, one, two, three]
    }
}

const REFUNDABLE: &str = "SELECT id, provider, amount_fen - refunded_fen FROM payment_order
     WHERE user_id = $1 AND state = 'paid' AND created_ms > $2 AND refunded_fen < amount_fen AND provider IN ($3, $4, $5)
     ORDER BY created_ms DESC, id DESC LIMIT $6";

/// The paid orders of a user that can still take money back, the newest first.
pub(in crate::wallet) async fn refundable(
    tx: &mut Transaction<'_>,
    back: &Back,
    limit: i64,
) -> Result<Vec<Refundable>, Error> {
    let mut params = back.params();
    params.push(limit.into());
    let rows = tx.query(REFUNDABLE, params).await?;
    rows.iter()
        .map(|row| {
            let provider = word(row, 1, PROVIDERS.map(Outside::as_str))?;
            Ok(Refundable {
                order: row.get(0)?,
                provider: Outside::from_word(provider).unwrap_or(Outside::Hand),
                rest_fen: row.get(2)?,
            })
        })
        .collect()
}

const RESTS: &str =
    "SELECT CAST(coalesce(sum(CASE WHEN provider IN ($3, $4, $5) THEN amount_fen - refunded_fen ELSE 0 END), 0) AS BIGINT),
            CAST(coalesce(sum(amount_fen - refunded_fen), 0) AS BIGINT)
     FROM payment_order WHERE user_id = $1 AND state = 'paid' AND created_ms > $2 AND refunded_fen < amount_fen";

/// All that the orders of a user can still take back, fen: by the providers that are offered, and by all.
pub(in crate::wallet) async fn rests(tx: &mut Transaction<'_>, back: &Back) -> Result<(i64, i64), Error> {
    let row = tx.query_first(RESTS, back.params()).await?;
    row.map_or(Ok((0, 0)), |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Counts an amount as paid back of an order, or no longer so when it is below zero.
pub(in crate::wallet) async fn count_refund(
    tx: &mut Transaction<'_>,
    order: i64,
    amount_fen: i64,
) -> Result<(), Error> {
    // One that takes back another amount than it holds is a fault.
    tx.enqueue_one(
        "UPDATE payment_order SET refunded_fen = refunded_fen + $1
             WHERE id = $2 AND state = 'paid' AND refunded_fen + $1 >= 0 AND refunded_fen + $1 <= amount_fen",
        params![amount_fen, order],
    )
    .await?;
    Ok(())
}

/// Counts all of a paid order as paid back, because its top-up is taken back by hand; false where a part was paid back before.
pub(in crate::wallet) async fn take_back(tx: &mut Transaction<'_>, order: i64) -> Result<bool, Error> {
    let taken = tx
        .execute(
            "UPDATE payment_order SET refunded_fen = amount_fen WHERE id = $1 AND state = 'paid' AND refunded_fen = 0",
            params![order],
        )
        .await?;
    Ok(taken == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        list(UserId::from_database(1)).walks_an_index().await;
        walks_an_index(&one_sql(), params![1_i64]).await;
        walks_an_index(COUNT_OPEN, params![1_i64, 1_i64]).await;
        let back = Back::new(UserId::from_database(1), 1, |provider| {
            provider == Outside::Wechat
        });
        walks_an_index(RESTS, back.params()).await;
        let mut with_limit = back.params();
        with_limit.push(1_i64.into());
        walks_an_index(REFUNDABLE, with_limit).await;
    }
}
