//! The SQL of withdrawals.

use database::{Database, Row, Transaction, params};
use ledger::Month;
use proto::UserId;

use super::super::{
    payee::PayeeShown,
    withdrawal::{Withdrawal, history::WithdrawalMonth},
};
use crate::http::{
    error::{Error, ErrorCode},
    input::{MAX_LIMIT, PageQuery},
};

/// A new withdrawal.
pub(in crate::income) struct NewWithdrawal {
    pub(in crate::income) id: i64,
    pub(in crate::income) team: i64,
    /// Of the window.
    pub(in crate::income) month: Month,
    pub(in crate::income) amount_fen: i64,
    pub(in crate::income) payee: i64,
    pub(in crate::income) by: UserId,
}

pub(in crate::income) async fn new_withdrawal(
    tx: &mut Transaction<'_>,
    new: NewWithdrawal,
    now_ms: i64,
) -> Result<(), Error> {
    tx.enqueue_one(
        "INSERT INTO withdrawal (id, team_id, month, amount_fen, payee_id, state, asked_by, asked_ms)
         VALUES ($1, $2, $3, $4, $5, 'asked', $6, $7)",
        params![
            new.id,
            new.team,
            new.month.get(),
            new.amount_fen,
            new.payee,
            new.by.get(),
            now_ms
        ],
    )
    .await?;
    Ok(())
}

const COLUMNS: &str = "w.id, w.team_id, w.month, w.amount_fen, w.state, w.asked_by, w.asked_ms, w.reference,
     w.ended_ms, p.kind, p.holder, p.bank, p.account_number, p.created_ms";

const JOINS: &str = "JOIN payee p ON p.id = w.payee_id";

fn withdrawal(row: &Row) -> Result<Withdrawal, Error> {
    let state: String = row.get(4)?;
    let has_ended = state != "asked";
    let number: String = row.get(12)?;
    Ok(Withdrawal {
        withdrawal_id: row.get(0)?,
        team_id: row.get(1)?,
        month: super::month(row.get(2)?)?.to_string(),
        amount_fen: row.get(3)?,
        state,
        asked_by: row.get(5)?,
        asked_ms: row.get(6)?,
        // Until another operator has approved it, an entry is none.
        reference: if has_ended { row.get(7)? } else { None },
        ended_ms: row.get(8)?,
        payee: PayeeShown::new(row.get(9)?, row.get(10)?, row.get(11)?, &number, row.get(13)?),
    })
}

fn one_sql() -> String {
    format!("SELECT {COLUMNS} FROM withdrawal w {JOINS} WHERE w.id = $1")
}

pub(in crate::income) async fn withdrawal_in(tx: &mut Transaction<'_>, id: i64) -> Result<Withdrawal, Error> {
    let row = tx.query_first(one_sql(), params![id]).await?;
    withdrawal(&row.ok_or(ErrorCode::WithdrawalNotFound)?)
}

fn of_month_sql() -> String {
    format!(
        "SELECT {COLUMNS} FROM withdrawal w {JOINS} WHERE w.team_id = $1 AND w.month = $2
         ORDER BY w.asked_ms DESC, w.id DESC LIMIT $3"
    )
}

/// The newest withdrawals of a team in the window of a month.
pub(in crate::income) async fn withdrawals_of(
    database: &Database,
    team: i64,
    month: Month,
) -> Result<Vec<Withdrawal>, Error> {
    let parameters = params![team, month.get(), MAX_LIMIT];
    let rows = database.query(of_month_sql(), parameters).await?;
    rows.iter().map(withdrawal).collect()
}

const COUNT_OF_MONTH: &str = "SELECT count(*) FROM withdrawal WHERE team_id = $1 AND month = $2";

/// Prefetches [`count_withdrawals`].
pub(in crate::income) fn prefetch_count(tx: &mut Transaction<'_>, team: i64, month: Month) {
    tx.prefetch(COUNT_OF_MONTH, params![team, month.get()]);
}

/// Counts the withdrawals of a locked team in the window of a month.
pub(in crate::income) async fn count_withdrawals(
    tx: &mut Transaction<'_>,
    team: i64,
    month: Month,
) -> Result<i64, Error> {
    let row = tx.query_first(COUNT_OF_MONTH, params![team, month.get()]).await?;
    Ok(row.map_or(Ok(0), |row| row.get(0))?)
}

/// A team may have several owners in a month: the one who asked last is shown.
const MONTHS: &str = "SELECT w.month, CAST(sum(w.amount_fen) AS BIGINT),
            CAST(sum(CASE WHEN w.state = 'paid' THEN w.amount_fen ELSE 0 END) AS BIGINT),
            CAST(sum(CASE WHEN w.state = 'failed' THEN w.amount_fen ELSE 0 END) AS BIGINT), count(*),
            (SELECT n.asked_by FROM withdrawal n WHERE n.team_id = $1 AND n.month = w.month
             ORDER BY n.asked_ms DESC, n.id DESC LIMIT 1),
            (SELECT (SELECT a.name FROM account a WHERE a.id = n.asked_by) FROM withdrawal n
             WHERE n.team_id = $1 AND n.month = w.month ORDER BY n.asked_ms DESC, n.id DESC LIMIT 1)
     FROM withdrawal w WHERE w.team_id = $1 AND w.month < $2 GROUP BY w.month ORDER BY w.month DESC LIMIT $3";

/// One more than the page holds, the newest month first.
pub(in crate::income) async fn withdrawal_months(
    database: &Database,
    team: i64,
    page: &PageQuery,
) -> Result<Vec<WithdrawalMonth>, Error> {
    let parameters = params![team, page.start().at, page.limit + 1];
    let rows = database.query(MONTHS, parameters).await?;
    rows.iter()
        .map(|row| {
            let place: i64 = row.get(0)?;
            Ok(WithdrawalMonth {
                month: super::month(place)?.to_string(),
                asked_fen: row.get(1)?,
                paid_fen: row.get(2)?,
                failed_fen: row.get(3)?,
                count: row.get(4)?,
                asked_by: row.get(5)?,
                asked_by_name: row.get(6)?,
                place,
            })
        })
        .collect()
}

const COUNT_MONTHS: &str = "SELECT count(DISTINCT month) FROM withdrawal WHERE team_id = $1";

pub(in crate::income) async fn count_withdrawal_months(database: &Database, team: i64) -> Result<i64, Error> {
    let row = database.query_first(COUNT_MONTHS, params![team]).await?;
    Ok(row.map_or(Ok(0), |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(&one_sql(), params![1_i64]).await;
        walks_an_index(&of_month_sql(), params![1_i64, 202_612_i64, 200_i64]).await;
        walks_an_index(COUNT_OF_MONTH, params![1_i64, 202_612_i64]).await;
        walks_an_index(MONTHS, params![1_i64, 202_612_i64, 51_i64]).await;
    }
}
