//! Reversals of transfers.

use database::{Row, Transaction, params};
use ledger::Kind;
use proto::UserId;
use serde::Serialize;
use utoipa::ToSchema;

use super::{ByHand, Progress, Step, state, states};
use crate::http::{
    error::{Error, ErrorCode},
    input::Cursor,
};

/// The sequence of reversal ids.
pub(in crate::wallet) const SEQUENCE: &str = "reversal";

/// A reversal of a transfer (冲正), which two operators make together.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Reversal {
    reversal_id: i64,
    /// The transfer that it takes back.
    pub(in crate::wallet) transfer_id: i64,
    /// The kind of that transfer: `top_up`, `credit`, `refund`, `join`.
    kind: String,
    /// The cause of that transfer: `order:5`, `refund:7`.
    pub(in crate::wallet) cause: String,
    /// The member whose wallet it changes.
    pub(in crate::wallet) user_id: i64,
    /// The change of the wallet's balance: below zero out of it.
    amount_fen: i64,
    reason: String,
    #[schema(schema_with = states)]
    state: &'static str,
    /// The operator who asked for it.
    asked_by: i64,
    asked_ms: i64,
    /// The operator who approved or refused it; absent before.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_by: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_ms: Option<i64>,
}

impl ByHand for Reversal {
    const TABLE: &'static str = "reversal";
    const COLUMNS: &'static str = "state, ended_by, ended_ms, id, transfer_id, kind, cause, user_id, amount_fen, reason, asked_by, asked_ms";

    fn read(row: &Row) -> Result<Self, Error> {
        let (state, ended_by, ended_ms) = (state(row, 0)?, row.get(1)?, row.get(2)?);
        Ok(Self {
            reversal_id: row.get(3)?,
            transfer_id: row.get(4)?,
            kind: row.get(5)?,
            cause: row.get(6)?,
            user_id: row.get(7)?,
            amount_fen: row.get(8)?,
            reason: row.get(9)?,
            state,
            asked_by: row.get(10)?,
            asked_ms: row.get(11)?,
            ended_by,
            ended_ms,
        })
    }

    fn progress(&self) -> Progress {
        let (asked_by, ended_by) = (self.asked_by, self.ended_by);
        Progress {
            state: self.state,
            asked_by,
            ended_by,
        }
    }

    fn place(&self) -> Cursor {
        let (at, id) = (self.asked_ms, self.reversal_id);
        Cursor { at, id }
    }
}

/// A transfer that is to be taken back.
pub(in crate::wallet) struct Of {
    pub(in crate::wallet) transfer: i64,
    pub(in crate::wallet) kind: Kind,
    pub(in crate::wallet) cause: String,
}

const TRANSFER: &str = "SELECT kind, cause FROM transfer WHERE id = $1";

/// A transfer, which never changes.
pub(in crate::wallet) async fn transfer(tx: &mut Transaction<'_>, transfer: i64) -> Result<Of, Error> {
    let row = tx.query_first(TRANSFER, params![transfer]).await?;
    let row = row.ok_or(ErrorCode::TransferNotFound)?;
    let word: String = row.get(0)?;
    let kind = Kind::from_word(&word).ok_or_else(|| Error::internal("transfer.kind is unknown"))?;
    Ok(Of {
        transfer,
        kind,
        cause: row.get(1)?,
    })
}

/// A new reversal.
pub(in crate::wallet) struct NewReversal {
    pub(in crate::wallet) id: i64,
    pub(in crate::wallet) of: Of,
    pub(in crate::wallet) user: UserId,
    pub(in crate::wallet) amount_fen: i64,
    pub(in crate::wallet) reason: String,
    pub(in crate::wallet) by: UserId,
}

/// Inserts a reversal. A transfer has one, but for those that were refused.
pub(in crate::wallet) async fn insert(
    tx: &mut Transaction<'_>,
    new: NewReversal,
    now_ms: i64,
) -> Result<Reversal, Error> {
    let (columns, state) = (Reversal::COLUMNS, Step::Asked.as_str());
    let sql = format!(
        "INSERT INTO reversal (id, transfer_id, kind, cause, user_id, amount_fen, reason, state, asked_by, asked_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING {columns}"
    );
    let (of, user, by) = (new.of, new.user.get(), new.by.get());
    let parameters = params![
        new.id,
        of.transfer,
        of.kind.as_str(),
        of.cause,
        user,
        new.amount_fen,
        new.reason,
        state,
        by,
        now_ms
    ];
    match tx.query_first(sql, parameters).await {
        Ok(row) => Reversal::read(&row.ok_or_else(|| Error::internal("a reversal gave no row"))?),
        Err(error) if error.constraint() == Some("reversal_transfer_id_key") => {
            Err(ErrorCode::ReversalAsked.into())
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(TRANSFER, params![1_i64]).await;
    }
}
