//! The SQL of statements: the postings of a team's income.

use database::{Database, Row, params};
use ledger::{Account, Month};

use crate::http::error::Error;

/// A posting to a team's income.
pub(in crate::income) struct Posting {
    /// Its place among all postings of the account.
    pub(in crate::income) place: i64,
    pub(in crate::income) transfer_id: i64,
    pub(in crate::income) kind: String,
    pub(in crate::income) cause: String,
    pub(in crate::income) amount_fen: i64,
    pub(in crate::income) created_ms: i64,
    pub(in crate::income) by: Option<i64>,
}

const SUMS: &str = "SELECT CAST(coalesce(sum(CASE WHEN month < $2 THEN posted_fen ELSE 0 END), 0) AS BIGINT),
            CAST(coalesce(sum(CASE WHEN month = $2 THEN posted_fen ELSE 0 END), 0) AS BIGINT)
     FROM income_month WHERE team_id = $1 AND month <= $2";

/// The balance of a team's income at the beginning of a month, and the sum of its postings.
pub(in crate::income) async fn month_sums(
    database: &Database,
    team: i64,
    month: Month,
) -> Result<(i64, i64), Error> {
    let row = database.query_first(SUMS, params![team, month.get()]).await?;
    let row = row.ok_or_else(|| Error::internal("a sum gave no row"))?;
    Ok((row.get(0)?, row.get(1)?))
}

/// The index by month has the accounts of incomes alone, and is found by the same words.
const POSTINGS: &str = "SELECT p.place, p.transfer_id, t.kind, t.cause, p.amount_fen, t.created_ms, t.by_id
     FROM posting p JOIN transfer t ON t.id = p.transfer_id
     WHERE p.account = $1 AND substr(p.account, 1, 7) = 'income:' AND p.month = $2 AND p.place > $3
     ORDER BY p.place LIMIT $4";

fn posting(row: &Row) -> Result<Posting, Error> {
    Ok(Posting {
        place: row.get(0)?,
        transfer_id: row.get(1)?,
        kind: row.get(2)?,
        cause: row.get(3)?,
        amount_fen: row.get(4)?,
        created_ms: row.get(5)?,
        by: row.get(6)?,
    })
}

/// The postings of a month after a place, in their order.
pub(in crate::income) async fn postings(
    database: &Database,
    team: i64,
    month: Month,
    after: i64,
    limit: i64,
) -> Result<Vec<Posting>, Error> {
    let account = Account::Income(team).to_string();
    let rows = database
        .query(POSTINGS, params![account, month.get(), after, limit])
        .await?;
    rows.iter().map(posting).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{walks, walks_an_index};

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(SUMS, params![1_i64, 202_612_i64]).await;
        walks(
            "posting_by_month",
            POSTINGS,
            params!["income:1", 202_612_i64, 0_i64, 51_i64],
        )
        .await;
    }
}
