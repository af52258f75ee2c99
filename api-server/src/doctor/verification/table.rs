//! The SQL of verifications.

use database::{Database, Row, Transaction, params};
use proto::UserId;

use super::{State, Verification};
use crate::http::{answer::List, error::Error, input::Cursor};

const COLUMNS: &str =
    "doctor_id, state, name, licence_number, hospital, title, practice_years, pictures, reason,
     asked_ms, decided_ms, verified_ms";

fn one() -> String {
    format!("SELECT {COLUMNS} FROM doctor_verification WHERE doctor_id = $1")
}

fn list_sql() -> String {
    format!(
        "SELECT {COLUMNS} FROM doctor_verification WHERE state = $1 AND (asked_ms, doctor_id) < ($2, $3)
         ORDER BY asked_ms DESC, doctor_id DESC LIMIT $4"
    )
}

const COUNT: &str = "SELECT count(*) FROM doctor_verification WHERE state = $1";

const LOCK: &str = "UPDATE doctor_verification SET state = state WHERE doctor_id = $1";

const ASK: &str =
    "INSERT INTO doctor_verification (doctor_id, state, name, licence_number, hospital, title, practice_years, pictures,
                                      reason, asked_ms, decided_ms, decided_by, verified_ms)
     VALUES ($1, 'asked', $2, $3, $4, $5, $6, $7, '', $8, NULL, NULL, NULL)
     ON CONFLICT (doctor_id) DO UPDATE SET
       state = excluded.state, name = excluded.name, licence_number = excluded.licence_number,
       hospital = excluded.hospital, title = excluded.title, practice_years = excluded.practice_years,
       pictures = excluded.pictures, reason = excluded.reason, asked_ms = excluded.asked_ms,
       decided_ms = NULL, decided_by = NULL";

const TRUST: &str =
    "INSERT INTO doctor_verification (doctor_id, state, name, licence_number, hospital, title, practice_years, pictures,
                                      reason, asked_ms, decided_ms, decided_by, verified_ms)
     SELECT a.id, 'approved', a.name, '', '', '', 0, '[]', '', CAST($2 AS BIGINT), CAST($2 AS BIGINT), NULL,
            CAST($2 AS BIGINT) FROM account a
     WHERE a.id = $1 AND a.role = 'doctor'";

const DECIDE: &str = "UPDATE doctor_verification
     SET state = $1, reason = $2, decided_ms = $3, decided_by = $4, verified_ms = coalesce(verified_ms, $5)
     WHERE doctor_id = $6";

fn row(row: &Row) -> Result<Verification, Error> {
    let pictures: String = row.get(7)?;
    Ok(Verification {
        doctor_id: row.get(0)?,
        state: state(row)?.as_str(),
        name: row.get(2)?,
        licence_number: row.get(3)?,
        hospital: row.get(4)?,
        title: row.get(5)?,
        practice_years: row.get(6)?,
        pictures: serde_json::from_str(&pictures).map_err(Error::internal)?,
        reason: row.get(8)?,
        asked_ms: Some(row.get(9)?),
        decided_ms: row.get(10)?,
        verified_ms: row.get(11)?,
    })
}

fn state(row: &Row) -> Result<State, Error> {
    let word: String = row.get(1)?;
    State::from_word(&word).ok_or_else(|| Error::internal("doctor_verification.state is unknown"))
}

pub(super) async fn verification(database: &Database, doctor: i64) -> Result<Option<Verification>, Error> {
    let found = database.query_first(one(), params![doctor]).await?;
    found.as_ref().map(row).transpose()
}

/// A verification with its state; its row is locked to the end of the transaction.
pub(super) async fn lock(
    tx: &mut Transaction<'_>,
    doctor: i64,
) -> Result<Option<(Verification, State)>, Error> {
    tx.execute(LOCK, params![doctor]).await?;
    let found = tx.query_first(one(), params![doctor]).await?;
    found
        .as_ref()
        .map(|found| Ok((row(found)?, state(found)?)))
        .transpose()
}

/// Those in a state, the newest first.
pub(super) fn in_state(state: State) -> List<Verification> {
    List {
        items: list_sql().into(),
        count: COUNT.into(),
        keys: params![state.as_str()],
        item: row,
        place: |verification| Cursor {
            at: verification.asked_ms.unwrap_or_default(),
            id: verification.doctor_id,
        },
    }
}

/// Writes what a doctor asks with.
pub(super) async fn put_asked(
    tx: &mut Transaction<'_>,
    asked: Verification,
    now_ms: i64,
) -> Result<Verification, Error> {
    tx.execute(
        ASK,
        params![
            asked.doctor_id,
            asked.name.as_str(),
            asked.licence_number.as_str(),
            asked.hospital.as_str(),
            asked.title.as_str(),
            asked.practice_years,
            serde_json::to_string(&asked.pictures).map_err(Error::internal)?,
            now_ms
        ],
    )
    .await?;
    Ok(Verification {
        state: State::Asked.as_str(),
        asked_ms: Some(now_ms),
        ..asked
    })
}

/// Verifies a doctor who has not asked, as an upgrade does with those it finds.
pub(super) async fn put_trusted(tx: &mut Transaction<'_>, doctor: i64, now_ms: i64) -> Result<(), Error> {
    tx.execute(TRUST, params![doctor, now_ms]).await?;
    Ok(())
}

/// Writes the decision of an operator about a locked row. The first approval is the one that patients see.
pub(super) async fn decide(
    tx: &mut Transaction<'_>,
    known: Verification,
    next: State,
    operator: UserId,
    reason: String,
    now_ms: i64,
) -> Result<Verification, Error> {
    let approved_ms = (next == State::Approved).then_some(now_ms);
    tx.execute(
        DECIDE,
        params![
            next.as_str(),
            reason.as_str(),
            now_ms,
            operator.get(),
            approved_ms,
            known.doctor_id
        ],
    )
    .await?;
    Ok(Verification {
        state: next.as_str(),
        reason,
        decided_ms: Some(now_ms),
        verified_ms: known.verified_ms.or(approved_ms),
        ..known
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(&one(), params![1_i64]).await;
        walks_an_index(LOCK, params![1_i64]).await;
        walks_an_index(TRUST, params![1_i64, 1_i64]).await;
        in_state(State::Asked).walks_an_index().await;
    }
}
