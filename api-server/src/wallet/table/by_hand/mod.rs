//! Changes of the books by hand: one operator asks, another one approves or refuses. Each kind of them has a table.

pub(in crate::wallet) mod credit;
pub(in crate::wallet) mod reversal;

use database::{Row, Transaction, Value, params};
use proto::UserId;
use serde::Serialize;
use utoipa::openapi::{RefOr, Schema};

use super::word;
use crate::http::{answer::List, docs::one_of, error::Error, input::Cursor};

/// The states of a change by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wallet) enum Step {
    Asked,
    Approved,
    Refused,
}

impl Step {
    const ALL: [Self; 3] = [Self::Asked, Self::Approved, Self::Refused];

    pub(in crate::wallet) const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Approved => "approved",
            Self::Refused => "refused",
        }
    }
}

fn states() -> RefOr<Schema> {
    one_of(Step::ALL.map(Step::as_str))
}

fn state(row: &Row, column: usize) -> Result<&'static str, Error> {
    word(row, column, Step::ALL.map(Step::as_str))
}

/// How far a change has come.
pub(in crate::wallet) struct Progress {
    pub(in crate::wallet) state: &'static str,
    pub(in crate::wallet) asked_by: i64,
    pub(in crate::wallet) ended_by: Option<i64>,
}

/// A row of one of the tables. Each has the columns `id`, `state`, `asked_ms`, `ended_by` and `ended_ms`.
pub(in crate::wallet) trait ByHand: Serialize + Send + Sync + Sized + 'static {
    /// The name of the table, and the word for its rows in the audit log.
    const TABLE: &'static str;
    const COLUMNS: &'static str;

    fn read(row: &Row) -> Result<Self, Error>;

    fn progress(&self) -> Progress;

    /// In the list: when it was asked for.
    fn place(&self) -> Cursor;
}

async fn one<T: ByHand>(
    tx: &mut Transaction<'_>,
    sql: String,
    parameters: Vec<Value>,
) -> Result<Option<T>, Error> {
    let row = tx.query_first(sql, parameters).await?;
    row.as_ref().map(T::read).transpose()
}

/// Locks a row to the end of the transaction.
pub(in crate::wallet) async fn lock<T: ByHand>(
    tx: &mut Transaction<'_>,
    id: i64,
) -> Result<Option<T>, Error> {
    let (table, columns) = (T::TABLE, T::COLUMNS);
    let sql = format!("UPDATE {table} SET state = state WHERE id = $1 RETURNING {columns}");
    one(tx, sql, params![id]).await
}

/// Ends a locked row.
pub(in crate::wallet) async fn end<T: ByHand>(
    tx: &mut Transaction<'_>,
    id: i64,
    (state, by): (Step, UserId),
    now_ms: i64,
) -> Result<T, Error> {
    let (table, columns) = (T::TABLE, T::COLUMNS);
    let sql = format!(
        "UPDATE {table} SET state = $1, ended_by = $2, ended_ms = $3 WHERE id = $4 RETURNING {columns}"
    );
    let parameters = params![state.as_str(), by.get(), now_ms, id];
    let ended = one(tx, sql, parameters).await?;
    ended.ok_or_else(|| Error::internal("a locked row is not there"))
}

/// All rows, the newest first.
pub(in crate::wallet) fn list<T: ByHand>() -> List<T> {
    let (table, columns) = (T::TABLE, T::COLUMNS);
    List {
        items: format!(
            "SELECT {columns} FROM {table} WHERE (asked_ms, id) < ($1, $2) ORDER BY asked_ms DESC, id DESC LIMIT $3"
        )
        .into(),
        // Ids are positive: the range walks the key, as operators alone count these rows.
        count: format!("SELECT count(*) FROM {table} WHERE asked_ms > 0").into(),
        keys: Vec::new(),
        item: T::read,
        place: T::place,
    }
}

#[cfg(test)]
mod tests {
    use super::{credit::Credit, reversal::Reversal, *};

    #[tokio::test]
    async fn statements_walk_an_index() {
        list::<Credit>().walks_an_index().await;
        list::<Reversal>().walks_an_index().await;
    }
}
