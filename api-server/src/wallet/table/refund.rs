//! Refunds to payment providers.

use database::{Row, Transaction, params};
use ledger::Outside;
use proto::UserId;
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};

use super::{
    order::{PROVIDERS, providers},
    word,
};
use crate::http::{answer::List, docs::one_of, error::Error, input::Cursor};

/// The sequence of refund ids.
pub(in crate::wallet) const SEQUENCE: &str = "payment_refund";

const ASKED: &str = "asked";
const DONE: &str = "done";
const FAILED: &str = "failed";

/// `asked`: on its way. `done`: the provider has paid it back. `failed`: the provider refused, and the amount is in the
/// wallet again.
fn states() -> RefOr<Schema> {
    one_of([ASKED, DONE, FAILED])
}

/// Balance that goes back to the order that it came from.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = WalletRefund)]
pub(crate) struct Refund {
    refund_id: i64,
    pub(in crate::wallet) order_id: i64,
    #[schema(schema_with = providers)]
    provider: &'static str,
    pub(in crate::wallet) amount_fen: i64,
    #[schema(schema_with = states)]
    state: &'static str,
    /// Why it failed, by the provider's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    pub(in crate::wallet) created_ms: i64,
    /// When it was done or failed; absent before.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_ms: Option<i64>,
    #[serde(skip)]
    pub(in crate::wallet) user: UserId,
}

impl Refund {
    pub(in crate::wallet) fn is_asked(&self) -> bool {
        self.state == ASKED
    }

    pub(in crate::wallet) fn provider(&self) -> Outside {
        Outside::from_word(self.provider).unwrap_or(Outside::Hand)
    }

    fn place(&self) -> Cursor {
        Cursor {
            at: self.created_ms,
            id: self.refund_id,
        }
    }
}

const COLUMNS: &str = "id, user_id, order_id, provider, amount_fen, state, failure, created_ms, ended_ms";

fn refund_row(row: &Row) -> Result<Refund, Error> {
    Ok(Refund {
        refund_id: row.get(0)?,
        order_id: row.get(2)?,
        provider: word(row, 3, PROVIDERS.map(Outside::as_str))?,
        amount_fen: row.get(4)?,
        state: word(row, 5, [ASKED, DONE, FAILED])?,
        failure: row.get(6)?,
        created_ms: row.get(7)?,
        ended_ms: row.get(8)?,
        user: UserId::from_database(row.get(1)?),
    })
}

/// A new refund.
#[derive(Clone, Copy)]
pub(in crate::wallet) struct NewRefund {
    pub(in crate::wallet) id: i64,
    pub(in crate::wallet) user: UserId,
    pub(in crate::wallet) order: i64,
    pub(in crate::wallet) provider: Outside,
    pub(in crate::wallet) amount_fen: i64,
}

/// Background work hands it to the provider at once. `now_ms` is of the database's clock, which that work goes by.
pub(in crate::wallet) async fn insert(
    tx: &mut Transaction<'_>,
    new: NewRefund,
    now_ms: i64,
) -> Result<Refund, Error> {
    let sql = format!(
        "INSERT INTO payment_refund (id, user_id, order_id, provider, amount_fen, state, created_ms, asked, ask_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $7) RETURNING {COLUMNS}"
    );
    let row = tx
        .query_first(
            sql,
            params![
                new.id,
                new.user.get(),
                new.order,
                new.provider.as_str(),
                new.amount_fen,
                ASKED,
                now_ms
            ],
        )
        .await?;
    refund_row(&row.ok_or_else(|| Error::internal("a refund gave no row"))?)
}

/// Locks a refund to the end of the transaction.
pub(in crate::wallet) async fn lock(tx: &mut Transaction<'_>, refund: i64) -> Result<Option<Refund>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM payment_refund WHERE id = $1");
    let rows = tx.lock(sql, params![refund]).await?;
    rows.first().map(refund_row).transpose()
}

/// Ends a locked refund; with a failure it has failed. Nothing asks for it any more. The time is the
/// database's, as that of the comparison with bills.
pub(in crate::wallet) async fn end(
    tx: &mut Transaction<'_>,
    refund: i64,
    failure: Option<&str>,
) -> Result<(), Error> {
    let now_ms = tx.now_ms().await?;
    let state = if failure.is_some() { FAILED } else { DONE };
    tx.execute(
        "UPDATE payment_refund SET state = $1, failure = $2, ended_ms = $3, ask_ms = NULL WHERE id = $4",
        params![state, failure.map(str::to_owned), now_ms, refund],
    )
    .await?;
    Ok(())
}

/// The refunds of a user, the newest first.
pub(in crate::wallet) fn list(user: UserId) -> List<Refund> {
    List {
        items: format!(
            "SELECT {COLUMNS} FROM payment_refund WHERE user_id = $1 AND (created_ms, id) < ($2, $3)
             ORDER BY created_ms DESC, id DESC LIMIT $4"
        )
        .into(),
        count: "SELECT count(*) FROM payment_refund WHERE user_id = $1".into(),
        keys: params![user.get()],
        item: refund_row,
        place: Refund::place,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn statements_walk_an_index() {
        list(UserId::from_database(1)).walks_an_index().await;
    }
}
