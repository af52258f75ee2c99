//! The SQL of accounts that are to be closed.

use database::{Database, Transaction, params};
use proto::UserId;

use crate::http::error::{Error, ErrorCode};

/// Each is one row at most: a consult that runs, a fee, a top-up that its provider is asked for, balance on its way back, a
/// balance, a team or a clinic. The balance is read behind those whose end raises it: PostgreSQL reads each at another moment,
/// and an end that one of them did not see any more has changed the balance before.
const OPEN_WORK: &[&str] = &[
    "SELECT 1 FROM consult_person WHERE user_id = $1 AND shelf = 'in_process' LIMIT 1",
    "SELECT 1 FROM team_member m JOIN ledger_account l
       ON l.kind = 'fee' AND l.owner_id = m.team_id AND l.part_id = m.member_id
     WHERE m.member_id = $1 AND l.balance_fen > 0 LIMIT 1",
    "SELECT 1 FROM payment_order WHERE user_id = $1 AND state = 'open' AND ask_ms IS NOT NULL LIMIT 1",
    "SELECT 1 FROM payment_refund WHERE user_id = $1 AND state = 'asked' LIMIT 1",
    "SELECT 1 FROM ledger_account WHERE kind = 'wallet' AND owner_id = $1 AND balance_fen > 0 LIMIT 1",
    "SELECT 1 FROM team_doctor d JOIN team t ON t.id = d.team_id
     WHERE d.doctor_id = $1 AND t.owner_id = $1 AND t.dissolved_ms IS NULL LIMIT 1",
    "SELECT 1 FROM clinic WHERE founder_id = $1 AND dissolved_ms IS NULL LIMIT 1",
];

/// Whether something must be settled before the account, which is locked, may be closed.
pub(in crate::account) async fn has_open_work(tx: &mut Transaction<'_>, user: UserId) -> Result<bool, Error> {
    for sql in OPEN_WORK {
        if tx.query_first(*sql, params![user.get()]).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Plans the closing, unless there is an earlier plan; gives its time.
pub(in crate::account) async fn ask(
    tx: &mut Transaction<'_>,
    user: UserId,
    closing_ms: i64,
) -> Result<i64, Error> {
    let sql = "UPDATE account SET closing_ms = COALESCE(closing_ms, $1) WHERE id = $2 RETURNING closing_ms";
    let row = tx.query_first(sql, params![closing_ms, user.get()]).await?;
    Ok(row.ok_or(ErrorCode::AuthRequired)?.get(0)?)
}

/// Locks an account, so that it is not closed before the end of the transaction; refused when it is.
pub(crate) async fn lock_unclosed(tx: &mut Transaction<'_>, user: UserId) -> Result<(), Error> {
    match lock_if_unclosed(tx, user).await? {
        true => Ok(()),
        false => Err(ErrorCode::AccountClosed.into()),
    }
}

/// The same; false when it is closed, which it stays.
pub(crate) async fn lock_if_unclosed(tx: &mut Transaction<'_>, user: UserId) -> Result<bool, Error> {
    let sql = "SELECT id FROM account WHERE id = $1 AND closed_ms IS NULL";
    Ok(tx.lock_row(sql, params![user.get()]).await?)
}

/// Takes the plan back.
pub(in crate::account) async fn lift(tx: &mut Transaction<'_>, user: UserId) -> Result<(), Error> {
    let sql = "UPDATE account SET closing_ms = NULL WHERE id = $1 AND closed_ms IS NULL";
    tx.execute(sql, params![user.get()]).await?;
    Ok(())
}

const DUE: &str =
    "SELECT id FROM account WHERE closing_ms <= $1 AND closed_ms IS NULL ORDER BY closing_ms, id LIMIT $2";

pub(in crate::account) async fn due(
    database: &Database,
    now_ms: i64,
    limit: i64,
) -> Result<Vec<UserId>, Error> {
    let rows = database.query(DUE, params![now_ms, limit]).await?;
    rows.iter()
        .map(|row| Ok(UserId::from_database(row.get(0)?)))
        .collect()
}

/// Locks an account; false when it is not due any more.
pub(in crate::account) async fn lock_due(
    tx: &mut Transaction<'_>,
    user: UserId,
    now_ms: i64,
) -> Result<bool, Error> {
    let sql = "UPDATE account SET team_count = team_count
               WHERE id = $1 AND closing_ms <= $2 AND closed_ms IS NULL";
    Ok(tx.execute(sql, params![user.get(), now_ms]).await? == 1)
}

/// Closes an account: no way leads in, its phone is free, its pages are empty.
pub(in crate::account) async fn close(
    tx: &mut Transaction<'_>,
    user: UserId,
    name: &str,
    now_ms: i64,
) -> Result<(), Error> {
    if let Some(phone) = super::phone_in(tx, user).await? {
        super::invited::end(tx, user, &phone).await?;
    }
    let sql = "UPDATE account SET closed_ms = $1, disabled_ms = COALESCE(disabled_ms, $1), closing_ms = NULL,
                 phone = NULL, password_hash = NULL WHERE id = $2";
    tx.execute(sql, params![now_ms, user.get()]).await?;
    super::rename(tx, user, name.to_owned()).await?;
    for sql in [
        "DELETE FROM known_device WHERE user_id = $1",
        "DELETE FROM doctor_profile WHERE doctor_id = $1",
    ] {
        tx.execute(sql, params![user.get()]).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        for sql in OPEN_WORK {
            walks_an_index(sql, params![1_i64]).await;
        }
        walks_an_index(DUE, params![1_i64, 1_i64]).await;
    }
}
