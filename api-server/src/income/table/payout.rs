//! The SQL of payouts.

use database::{Row as DatabaseRow, Transaction, Value, params};
use ledger::Month;
use proto::UserId;

use super::super::{
    payee::PayeeShown,
    payout::{Outcome, Payout},
    withdrawal::WithdrawalState,
};
use crate::{
    http::{
        answer::List,
        error::{Error, ErrorCode},
        input::Cursor,
    },
    team,
};

/// Withdrawals of one export: some megabytes.
const MAX_EXPORTED: i64 = 10_000;

/// A withdrawal whose row is locked.
pub(in crate::income) struct Row {
    pub(in crate::income) team_id: i64,
    pub(in crate::income) amount_fen: i64,
    state: String,
    pub(in crate::income) entered: Option<Outcome>,
    pub(in crate::income) entered_by: Option<UserId>,
    reference: Option<String>,
}

impl Row {
    /// Whether it was paid or has failed.
    pub(in crate::income) fn has_ended(&self) -> bool {
        self.state != WithdrawalState::Asked.as_str()
    }

    /// Whether this was entered; any reference by default.
    pub(in crate::income) fn has_entry(&self, outcome: Outcome, reference: Option<&str>) -> bool {
        self.entered == Some(outcome)
            && reference.is_none_or(|given| self.reference.as_deref() == Some(given))
    }
}

/// Locks a withdrawal to the end of the transaction.
pub(in crate::income) async fn lock_payout(tx: &mut Transaction<'_>, id: i64) -> Result<Row, Error> {
    let row = tx
        .query_first(
            "UPDATE withdrawal SET state = state WHERE id = $1
             RETURNING team_id, amount_fen, state, entered, entered_by, reference",
            params![id],
        )
        .await?;
    let row = row.ok_or(ErrorCode::WithdrawalNotFound)?;
    let entered: Option<String> = row.get(3)?;
    Ok(Row {
        team_id: row.get(0)?,
        amount_fen: row.get(1)?,
        state: row.get(2)?,
        entered: entered.as_deref().and_then(Outcome::from_word),
        entered_by: row.get::<Option<i64>>(4)?.map(UserId::from_database),
        reference: row.get(5)?,
    })
}

/// Enters an outcome. The withdrawal is locked.
pub(in crate::income) async fn enter(
    tx: &mut Transaction<'_>,
    id: i64,
    outcome: Outcome,
    reference: &str,
    by: UserId,
) -> Result<(), Error> {
    tx.execute(
        "UPDATE withdrawal SET entered = $1, reference = $2, entered_by = $3 WHERE id = $4 AND state = 'asked'",
        params![outcome.as_str(), reference, by.get(), id],
    )
    .await?;
    Ok(())
}

/// Ends a withdrawal by the entered outcome. It is locked.
pub(in crate::income) async fn approve(
    tx: &mut Transaction<'_>,
    id: i64,
    outcome: Outcome,
    by: UserId,
    now_ms: i64,
) -> Result<(), Error> {
    tx.execute(
        "UPDATE withdrawal SET state = $1, approved_by = $2, ended_ms = $3 WHERE id = $4 AND state = 'asked'",
        params![outcome.as_str(), by.get(), now_ms, id],
    )
    .await?;
    Ok(())
}

/// Whether an operator exported a withdrawal for the bank or entered an outcome.
pub(in crate::income) async fn has_handled(
    tx: &mut Transaction<'_>,
    id: i64,
    operator: UserId,
) -> Result<bool, Error> {
    let row = tx
        .query_first(
            "SELECT created_ms FROM withdrawal_export WHERE withdrawal_id = $1 AND operator_id = $2",
            params![id, operator.get()],
        )
        .await?;
    Ok(row.is_some())
}

const COLUMNS: &str = "w.id, w.team_id, t.name, w.month, w.amount_fen, w.state, w.asked_by, w.asked_ms, w.entered,
     w.entered_by, w.reference, w.approved_by, w.ended_ms, p.kind, p.holder, p.bank, p.account_number, p.created_ms,
     (SELECT string_agg(CAST(e.operator_id AS TEXT), ',' ORDER BY e.operator_id)
      FROM withdrawal_export e WHERE e.withdrawal_id = w.id)";

const JOINS: &str = "JOIN payee p ON p.id = w.payee_id JOIN team t ON t.id = w.team_id";

fn payout(row: &DatabaseRow) -> Result<Payout, Error> {
    let number: String = row.get(16)?;
    Ok(Payout {
        withdrawal_id: row.get(0)?,
        team_id: row.get(1)?,
        team_name: row.get(2)?,
        month: super::month(row.get(3)?)?.to_string(),
        amount_fen: row.get(4)?,
        state: row.get(5)?,
        asked_by: row.get(6)?,
        asked_ms: row.get(7)?,
        entered: row.get(8)?,
        entered_by: row.get(9)?,
        reference: row.get(10)?,
        approved_by: row.get(11)?,
        ended_ms: row.get(12)?,
        payee: PayeeShown::new(row.get(13)?, row.get(14)?, row.get(15)?, &number, row.get(17)?),
        handled_by: team::ids(row.get(18)?)?,
    })
}

fn one_sql() -> String {
    format!("SELECT {COLUMNS} FROM withdrawal w {JOINS} WHERE w.id = $1")
}

pub(in crate::income) async fn payout_in(tx: &mut Transaction<'_>, id: i64) -> Result<Payout, Error> {
    let row = tx.query_first(one_sql(), params![id]).await?;
    payout(&row.ok_or(ErrorCode::WithdrawalNotFound)?)
}

fn list_sql() -> String {
    format!(
        "SELECT {COLUMNS} FROM withdrawal w {JOINS}
         WHERE w.state = $1 AND w.asked_ms >= $2 AND w.asked_ms < $3 AND (w.asked_ms, w.id) < ($4, $5)
         ORDER BY w.asked_ms DESC, w.id DESC LIMIT $6"
    )
}

const COUNT: &str = "SELECT count(*) FROM withdrawal WHERE state = $1 AND asked_ms >= $2 AND asked_ms < $3";

/// The withdrawals in a state that were asked for in a month, the newest first. A window lies in its month, so the times of
/// the month find them.
pub(in crate::income) fn payouts(month: Month, state: WithdrawalState) -> List<Payout> {
    List {
        items: list_sql().into(),
        count: COUNT.into(),
        keys: params![state.as_str(), month.from_ms(), month.next().from_ms()],
        item: payout,
        place: |payout| Cursor {
            at: payout.asked_ms,
            id: payout.withdrawal_id,
        },
    }
}

/// A withdrawal that is to be paid out, with the whole account number.
pub(in crate::income) struct Due {
    pub(in crate::income) withdrawal_id: i64,
    pub(in crate::income) team_id: i64,
    pub(in crate::income) team_name: String,
    pub(in crate::income) kind: String,
    pub(in crate::income) holder: String,
    pub(in crate::income) bank: String,
    pub(in crate::income) account_number: String,
    pub(in crate::income) amount_fen: i64,
    pub(in crate::income) asked_by: i64,
}

/// Exports come one after the other: each sees the marks of the one before.
const LOCK_EXPORTS: &str = "INSERT INTO sequence (name, next_value) VALUES ('payout_export', 1)
     ON CONFLICT (name) DO UPDATE SET next_value = sequence.next_value";

/// Locks them: an entry comes before the export or after it. The outer conditions are those that PostgreSQL checks again after
/// it waited for a row.
const LOCK_DUE: &str =
    "UPDATE withdrawal SET state = state WHERE state = 'asked' AND entered IS NULL AND id IN (
         SELECT w.id FROM withdrawal w
         WHERE w.state = 'asked' AND w.asked_ms >= $1 AND w.asked_ms < $2 AND w.entered IS NULL
           AND ($3 OR NOT EXISTS (SELECT 1 FROM withdrawal_export e
                                  WHERE e.withdrawal_id = w.id AND e.operator_id <> $4))
         ORDER BY w.asked_ms, w.id LIMIT $5)
     RETURNING id";

/// The places of ids in a statement, after some parameters.
fn list(ids: &[i64], after: usize) -> String {
    let places: Vec<String> = (1..=ids.len()).map(|at| format!("${}", after + at)).collect();
    places.join(", ")
}

/// Records that an operator exported withdrawals or entered an outcome of them.
pub(in crate::income) async fn mark_handled(
    tx: &mut Transaction<'_>,
    ids: &[i64],
    operator: UserId,
    now_ms: i64,
) -> Result<(), Error> {
    let list = list(ids, 2);
    let mut parameters = params![operator.get(), now_ms];
    parameters.extend(ids.iter().map(|id| Value::from(*id)));
    let sql = format!(
        "INSERT INTO withdrawal_export (withdrawal_id, operator_id, created_ms)
         SELECT w.id, CAST($1 AS BIGINT), CAST($2 AS BIGINT) FROM withdrawal w WHERE w.id IN ({list})
         ON CONFLICT (withdrawal_id, operator_id) DO NOTHING"
    );
    tx.execute(sql, parameters).await?;
    Ok(())
}

async fn due(tx: &mut Transaction<'_>, ids: &[i64]) -> Result<Vec<Due>, Error> {
    let list = list(ids, 0);
    let parameters: Vec<Value> = ids.iter().map(|id| Value::from(*id)).collect();
    let sql = format!(
        "SELECT w.id, w.team_id, t.name, p.kind, p.holder, p.bank, p.account_number, w.amount_fen, w.asked_by
         FROM withdrawal w JOIN payee p ON p.id = w.payee_id JOIN team t ON t.id = w.team_id
         WHERE w.id IN ({list})"
    );
    let rows = tx.query(sql, parameters).await?;
    rows.iter()
        .map(|row| {
            Ok(Due {
                withdrawal_id: row.get(0)?,
                team_id: row.get(1)?,
                team_name: row.get(2)?,
                kind: row.get(3)?,
                holder: row.get(4)?,
                bank: row.get(5)?,
                account_number: row.get(6)?,
                amount_fen: row.get(7)?,
                asked_by: row.get(8)?,
            })
        })
        .collect()
}

/// The withdrawals of a month that have no outcome yet and that no other operator exported (`again`: these too), marked as
/// exported by an operator; in the order of ids.
pub(in crate::income) async fn export(
    tx: &mut Transaction<'_>,
    month: Month,
    again: bool,
    operator: UserId,
    now_ms: i64,
) -> Result<Vec<Due>, Error> {
    /// Withdrawals of one statement.
    const AT_ONCE: usize = 500;
    tx.execute(LOCK_EXPORTS, vec![]).await?;
    let parameters = params![
        month.from_ms(),
        month.next().from_ms(),
        again,
        operator.get(),
        MAX_EXPORTED
    ];
    let locked = tx.query(LOCK_DUE, parameters).await?;
    let mut ids: Vec<i64> = locked.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
    ids.sort_unstable();
    let mut found = Vec::with_capacity(ids.len());
    for ids in ids.chunks(AT_ONCE) {
        mark_handled(tx, ids, operator, now_ms).await?;
        found.extend(due(tx, ids).await?);
    }
    found.sort_by_key(|due| due.withdrawal_id);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        let month = Month::new(202_612).unwrap();
        payouts(month, WithdrawalState::Asked).walks_an_index().await;
        walks_an_index(&one_sql(), params![1_i64]).await;
    }
}
