//! The SQL of payees.

use database::{Database, Row, Transaction, params};
use proto::UserId;

use super::super::payee::Payee;
use crate::http::error::Error;

/// A new payee.
pub(in crate::income) struct NewPayee {
    pub(in crate::income) team: i64,
    pub(in crate::income) kind: &'static str,
    pub(in crate::income) holder: String,
    pub(in crate::income) bank: String,
    pub(in crate::income) account_number: String,
    pub(in crate::income) by: UserId,
}

/// Within the transaction, so that ids follow the order of commits.
const NEXT: &str = "INSERT INTO sequence (name, next_value) VALUES ('payee', 2)
     ON CONFLICT (name) DO UPDATE SET next_value = sequence.next_value + 1 RETURNING next_value - 1";

const INSERT: &str = "INSERT INTO payee (id, team_id, kind, holder, bank, account_number, by_id, created_ms)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

/// Inserts a team's new payee. The team is locked.
pub(in crate::income) async fn new_payee(
    tx: &mut Transaction<'_>,
    new: NewPayee,
    now_ms: i64,
) -> Result<(), Error> {
    let next = tx.query_first(NEXT, vec![]).await?;
    let id: i64 = next
        .ok_or_else(|| Error::internal("sequence gave no row"))?
        .get(0)?;
    let by = new.by.get();
    tx.execute(
        INSERT,
        params![
            id,
            new.team,
            new.kind,
            new.holder,
            new.bank,
            new.account_number,
            by,
            now_ms
        ],
    )
    .await?;
    Ok(())
}

const NEWEST: &str = "SELECT id, kind, holder, bank, account_number, created_ms FROM payee
     WHERE team_id = $1 AND id > (SELECT t.payee_after_id FROM team t WHERE t.id = $1)
     ORDER BY id DESC LIMIT 1";

fn payee(row: &Row) -> Result<Payee, Error> {
    Ok(Payee {
        id: row.get(0)?,
        kind: row.get(1)?,
        holder: row.get(2)?,
        bank: row.get(3)?,
        account_number: row.get(4)?,
        created_ms: row.get(5)?,
    })
}

/// The payee of a team; none while only former owners have set one.
pub(in crate::income) async fn newest_payee(database: &Database, team: i64) -> Result<Option<Payee>, Error> {
    let row = database.query_first(NEWEST, params![team]).await?;
    row.as_ref().map(payee).transpose()
}

/// As [`newest_payee`], within a transaction.
pub(in crate::income) async fn newest_payee_in(
    tx: &mut Transaction<'_>,
    team: i64,
) -> Result<Option<Payee>, Error> {
    let row = tx.query_first(NEWEST, params![team]).await?;
    row.as_ref().map(payee).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(NEWEST, params![1_i64]).await;
    }
}
