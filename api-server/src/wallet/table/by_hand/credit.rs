//! Credits by hand.

use database::{Row, Transaction, params};
use proto::UserId;
use serde::Serialize;
use utoipa::ToSchema;

use super::{ByHand, Progress, Step, one, state, states};
use crate::http::{error::Error, input::Cursor};

/// The sequence of credit ids.
pub(in crate::wallet) const SEQUENCE: &str = "credit";

/// A credit by hand, which two operators make together.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Credit {
    pub(in crate::wallet) credit_id: i64,
    /// The member whose wallet it goes into.
    pub(in crate::wallet) user_id: i64,
    pub(in crate::wallet) amount_fen: i64,
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

impl ByHand for Credit {
    const TABLE: &'static str = "credit";
    const COLUMNS: &'static str =
        "id, user_id, amount_fen, reason, state, asked_by, asked_ms, ended_by, ended_ms";

    fn read(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            credit_id: row.get(0)?,
            user_id: row.get(1)?,
            amount_fen: row.get(2)?,
            reason: row.get(3)?,
            state: state(row, 4)?,
            asked_by: row.get(5)?,
            asked_ms: row.get(6)?,
            ended_by: row.get(7)?,
            ended_ms: row.get(8)?,
        })
    }

    fn progress(&self) -> Progress {
        Progress {
            state: self.state,
            asked_by: self.asked_by,
            ended_by: self.ended_by,
        }
    }

    fn place(&self) -> Cursor {
        Cursor {
            at: self.asked_ms,
            id: self.credit_id,
        }
    }
}

/// A new credit.
pub(in crate::wallet) struct NewCredit {
    pub(in crate::wallet) id: i64,
    pub(in crate::wallet) user: i64,
    pub(in crate::wallet) amount_fen: i64,
    pub(in crate::wallet) reason: String,
    pub(in crate::wallet) by: UserId,
}

pub(in crate::wallet) async fn insert(
    tx: &mut Transaction<'_>,
    new: NewCredit,
    now_ms: i64,
) -> Result<Credit, Error> {
    let columns = Credit::COLUMNS;
    let sql = format!(
        "INSERT INTO credit (id, user_id, amount_fen, reason, state, asked_by, asked_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING {columns}"
    );
    let parameters = params![
        new.id,
        new.user,
        new.amount_fen,
        new.reason,
        Step::Asked.as_str(),
        new.by.get(),
        now_ms
    ];
    one(tx, sql, parameters)
        .await?
        .ok_or_else(|| Error::internal("a credit gave no row"))
}
