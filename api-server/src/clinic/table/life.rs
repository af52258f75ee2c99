//! The SQL of a clinic's life: its founders, its supervisors, its end.

use database::{Transaction, params};
use proto::UserId;

use crate::{clinic::Clinic, http::error::Error};

const LINK: &str = "SELECT invitation_id FROM clinic_doctor WHERE clinic_id = $1 AND doctor_id = $2";

/// The link that a doctor of a clinic joined by.
pub(in crate::clinic) async fn link_of(
    tx: &mut Transaction<'_>,
    clinic: i64,
    doctor: UserId,
) -> Result<Option<i64>, Error> {
    let row = tx.query_first(LINK, params![clinic, doctor.get()]).await?;
    Ok(row.map_or(Ok(None), |row| row.get(0))?)
}

/// Demotes a supervisor of a locked clinic; false when the doctor is none.
pub(in crate::clinic) async fn demote(
    tx: &mut Transaction<'_>,
    clinic: i64,
    doctor: UserId,
) -> Result<bool, Error> {
    let demoted = tx
        .execute(
            "UPDATE clinic_doctor SET supervisor = $1, supervisor_inviter_id = NULL
             WHERE clinic_id = $2 AND doctor_id = $3 AND supervisor",
            params![false, clinic, doctor.get()],
        )
        .await?;
    Ok(demoted == 1)
}

/// Hands a locked clinic on.
pub(in crate::clinic) async fn hand_on(
    tx: &mut Transaction<'_>,
    clinic: i64,
    to: UserId,
) -> Result<(), Error> {
    tx.execute(
        "UPDATE clinic SET founder_id = $1 WHERE id = $2",
        params![to.get(), clinic],
    )
    .await?;
    Ok(())
}

/// Closes a locked clinic; false when it is closed already.
pub(in crate::clinic) async fn close(
    tx: &mut Transaction<'_>,
    clinic: i64,
    now_ms: i64,
) -> Result<bool, Error> {
    let closed = tx
        .execute(
            "UPDATE clinic SET closed_ms = $1 WHERE id = $2 AND closed_ms IS NULL",
            params![now_ms, clinic],
        )
        .await?;
    Ok(closed == 1)
}

/// Opens a locked clinic.
pub(in crate::clinic) async fn reopen(tx: &mut Transaction<'_>, clinic: i64) -> Result<(), Error> {
    tx.execute(
        "UPDATE clinic SET closed_ms = NULL WHERE id = $1",
        params![clinic],
    )
    .await?;
    Ok(())
}

/// Dissolves a locked clinic. Its doctors are in it no more; its name stays its own.
pub(in crate::clinic) async fn dissolve(
    tx: &mut Transaction<'_>,
    clinic: Clinic,
    now_ms: i64,
) -> Result<Clinic, Error> {
    let id = clinic.clinic_id;
    close(tx, id, now_ms).await?;
    tx.execute(
        "UPDATE clinic SET dissolved_ms = $1 WHERE id = $2",
        params![now_ms, id],
    )
    .await?;
    tx.execute("DELETE FROM clinic_doctor WHERE clinic_id = $1", params![id])
        .await?;
    Ok(Clinic {
        closed_ms: clinic.closed_ms.or(Some(now_ms)),
        dissolved_ms: Some(now_ms),
        ..clinic
    })
}

const TEAMS: &str = "SELECT id FROM team WHERE clinic_id = $1 ORDER BY created_ms, id";
const CLOSED_WITH: &str =
    "SELECT id FROM team WHERE clinic_id = $1 AND closed_ms = $2 ORDER BY created_ms, id";

/// The teams of a locked clinic: a hundred at most.
pub(in crate::clinic) async fn teams_of(tx: &mut Transaction<'_>, clinic: i64) -> Result<Vec<i64>, Error> {
    let rows = tx.query(TEAMS, params![clinic]).await?;
    rows.iter().map(|row| Ok(row.get(0)?)).collect()
}

/// Those that were closed with their clinic.
pub(in crate::clinic) async fn teams_closed_with(
    tx: &mut Transaction<'_>,
    clinic: i64,
    closed_ms: i64,
) -> Result<Vec<i64>, Error> {
    let rows = tx.query(CLOSED_WITH, params![clinic, closed_ms]).await?;
    rows.iter().map(|row| Ok(row.get(0)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(LINK, params![1_i64, 1_i64]).await;
        walks_an_index(TEAMS, params![1_i64]).await;
        walks_an_index(CLOSED_WITH, params![1_i64, 1_i64]).await;
    }
}
