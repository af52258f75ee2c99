//! The SQL of clinics.

mod folding;
mod life;
mod mine;

use database::{Database, Row, Transaction, params};
use proto::UserId;

use super::{Clinic, ClinicDoctor};
use crate::http::{
    answer::List,
    error::{Error, ErrorCode},
    input::{Cursor, NameQuery, folded},
};

pub(crate) use folding::fold_names;
pub(super) use life::{close, demote, dissolve, hand_on, link_of, reopen, teams_closed_with, teams_of};
pub(super) use mine::mine;

/// The sequence of clinic ids.
pub(super) const SEQUENCE: &str = "clinic";

const CLINIC: &str =
    "SELECT id, name, introduction, founder_id, created_ms, closed_ms, dissolved_ms FROM clinic";

fn clinic_row(row: &Row) -> Result<Clinic, Error> {
    Ok(Clinic {
        clinic_id: row.get(0)?,
        name: row.get(1)?,
        introduction: row.get(2)?,
        founder_id: row.get(3)?,
        created_ms: row.get(4)?,
        closed_ms: row.get(5)?,
        dissolved_ms: row.get(6)?,
    })
}

fn by_id() -> String {
    format!("{CLINIC} WHERE id = $1")
}

fn by_name() -> String {
    format!("{CLINIC} WHERE name = $1 AND closed_ms IS NULL")
}

fn by_folded_name() -> String {
    format!("{CLINIC} WHERE folded_name = $1 AND closed_ms IS NULL")
}

pub(super) async fn clinic(database: &Database, id: i64) -> Result<Option<Clinic>, Error> {
    let row = database.query_first(by_id(), params![id]).await?;
    row.as_ref().map(clinic_row).transpose()
}

/// The clinic of exactly this name, else the one whose name looks like it: before 2026-12, several clinics could have names
/// that look alike.
pub(super) async fn clinic_of_name(database: &Database, asked: &NameQuery) -> Result<Option<Clinic>, Error> {
    let exact = database
        .query_first(by_name(), params![asked.name.as_str()])
        .await?;
    let row = match exact {
        Some(row) => Some(row),
        None => {
            database
                .query_first(by_folded_name(), params![asked.folded.as_str()])
                .await?
        }
    };
    row.as_ref().map(clinic_row).transpose()
}

/// A clinic whose row is locked to the end of the transaction, dissolved or not: racing decisions about its doctors come one
/// after the other.
pub(super) async fn lock_any(tx: &mut Transaction<'_>, id: i64) -> Result<Clinic, Error> {
    tx.execute(
        "UPDATE clinic SET founder_id = founder_id WHERE id = $1",
        params![id],
    )
    .await?;
    let row = tx.query_first(by_id(), params![id]).await?;
    clinic_row(&row.ok_or(ErrorCode::ClinicNotFound)?)
}

/// As [`lock_any`]. A dissolved clinic changes no more.
pub(super) async fn lock(tx: &mut Transaction<'_>, id: i64) -> Result<Clinic, Error> {
    let clinic = lock_any(tx, id).await?;
    if clinic.dissolved_ms.is_some() {
        return Err(ErrorCode::ClinicDissolved.into());
    }
    Ok(clinic)
}

fn name_taken(error: database::Error) -> Error {
    if matches!(
        error.constraint(),
        Some("clinic_name_key" | "clinic_folded_name_key")
    ) {
        Error::new(ErrorCode::ClinicNameTaken).field("name")
    } else {
        error.into()
    }
}

pub(super) async fn new_clinic(tx: &mut Transaction<'_>, clinic: &Clinic) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO clinic (id, name, introduction, founder_id, created_ms, folded_name, folded_from)
         VALUES ($1, $2, $3, $4, $5, $6, $2)",
        params![
            clinic.clinic_id,
            clinic.name.as_str(),
            clinic.introduction.as_str(),
            clinic.founder_id,
            clinic.created_ms,
            folded(&clinic.name)
        ],
    )
    .await
    .map_err(name_taken)?;
    Ok(())
}

pub(super) async fn put(tx: &mut Transaction<'_>, clinic: &Clinic) -> Result<(), Error> {
    tx.execute(
        "UPDATE clinic SET introduction = $1 WHERE id = $2",
        params![clinic.introduction.as_str(), clinic.clinic_id],
    )
    .await?;
    Ok(())
}

/// Writes a new name. An unchanged name is never written: it may look like another one of before 2026-12, and stays valid.
pub(super) async fn rename(tx: &mut Transaction<'_>, clinic: &Clinic) -> Result<(), Error> {
    tx.execute(
        "UPDATE clinic SET name = $1, folded_name = $2, folded_from = $1 WHERE id = $3",
        params![clinic.name.as_str(), folded(&clinic.name), clinic.clinic_id],
    )
    .await
    .map_err(name_taken)?;
    Ok(())
}

const FOUNDED: &str = "SELECT count(*) FROM clinic WHERE founder_id = $1 AND dissolved_ms IS NULL";

/// Counts the clinics of a founder.
pub(super) async fn founded(tx: &mut Transaction<'_>, doctor: UserId) -> Result<i64, Error> {
    let row = tx.query_first(FOUNDED, params![doctor.get()]).await?;
    Ok(row.map_or(Ok(0), |row| row.get(0))?)
}

const SUPERVISES: &str = "SELECT supervisor FROM clinic_doctor WHERE clinic_id = $1 AND doctor_id = $2";

/// Whether a user is a supervisor.
pub(super) async fn supervises(database: &Database, clinic: i64, user: UserId) -> Result<bool, Error> {
    let row = database
        .query_first(SUPERVISES, params![clinic, user.get()])
        .await?;
    Ok(row.map_or(Ok(false), |row| row.get(0))?)
}

/// As [`supervises`], within a transaction.
pub(super) async fn supervises_in(
    tx: &mut Transaction<'_>,
    clinic: i64,
    user: UserId,
) -> Result<bool, Error> {
    let row = tx.query_first(SUPERVISES, params![clinic, user.get()]).await?;
    Ok(row.map_or(Ok(false), |row| row.get(0))?)
}

const DOCTORS: &str =
    "SELECT d.doctor_id, a.name, p.photo_id, coalesce(p.title, ''), coalesce(p.department, ''),
            d.inviter_id, d.supervisor, d.supervisor_inviter_id, d.joined_ms, v.verified_ms
     FROM clinic_doctor d JOIN account a ON a.id = d.doctor_id
     LEFT JOIN doctor_profile p ON p.doctor_id = d.doctor_id
     LEFT JOIN doctor_verification v ON v.doctor_id = d.doctor_id AND v.state = 'approved'
     WHERE d.clinic_id = $1";

fn doctor_row(row: &Row) -> Result<ClinicDoctor, Error> {
    Ok(ClinicDoctor {
        doctor_id: row.get(0)?,
        name: row.get(1)?,
        photo_id: row.get(2)?,
        title: row.get(3)?,
        department: row.get(4)?,
        inviter_id: row.get(5)?,
        is_supervisor: row.get(6)?,
        supervisor_inviter_id: row.get(7)?,
        joined_ms: row.get(8)?,
        verified_since: row.get(9)?,
    })
}

fn one_doctor() -> String {
    format!("{DOCTORS} AND d.doctor_id = $2")
}

fn list_sql() -> String {
    format!(
        "{DOCTORS} AND (d.joined_ms, d.doctor_id) < ($2, $3)
         ORDER BY d.joined_ms DESC, d.doctor_id DESC LIMIT $4"
    )
}

const COUNT: &str = "SELECT count(*) FROM clinic_doctor WHERE clinic_id = $1";

pub(super) async fn doctor_in(
    tx: &mut Transaction<'_>,
    clinic: i64,
    doctor: UserId,
) -> Result<Option<ClinicDoctor>, Error> {
    let row = tx
        .query_first(one_doctor(), params![clinic, doctor.get()])
        .await?;
    row.as_ref().map(doctor_row).transpose()
}

/// The doctors of a clinic, the newest first.
pub(super) fn doctors(clinic: i64) -> List<ClinicDoctor> {
    List {
        items: list_sql().into(),
        count: COUNT.into(),
        keys: params![clinic],
        item: doctor_row,
        place: |doctor| Cursor {
            at: doctor.joined_ms,
            id: doctor.doctor_id,
        },
    }
}

/// How a doctor came into a clinic.
pub(super) struct Came {
    pub(super) inviter: UserId,
    /// The invitation by link; none in person.
    pub(super) link: Option<i64>,
    /// Named by a refusal.
    pub(super) field: &'static str,
}

/// Adds a doctor to a clinic.
pub(super) async fn add_doctor(
    tx: &mut Transaction<'_>,
    clinic: i64,
    doctor: UserId,
    came: Came,
    now_ms: i64,
) -> Result<(), Error> {
    let outcome = tx
        .execute(
            "INSERT INTO clinic_doctor (clinic_id, doctor_id, inviter_id, joined_ms, supervisor, invitation_id)
             VALUES ($1, $2, $3, $4, $5, $6)",
            params![clinic, doctor.get(), came.inviter.get(), now_ms, false, came.link],
        )
        .await;
    match outcome {
        Ok(_) => Ok(()),
        Err(error) if error.constraint() == Some("clinic_doctor_pkey") => {
            Err(Error::new(ErrorCode::ClinicAlreadyIn).field(came.field))
        }
        Err(error) => Err(error.into()),
    }
}

/// False when the doctor is not in.
pub(super) async fn remove_doctor(
    tx: &mut Transaction<'_>,
    clinic: i64,
    doctor: UserId,
) -> Result<bool, Error> {
    let removed = tx
        .execute(
            "DELETE FROM clinic_doctor WHERE clinic_id = $1 AND doctor_id = $2",
            params![clinic, doctor.get()],
        )
        .await?;
    Ok(removed == 1)
}

const PAGE: &str =
    "SELECT a.id, a.name, p.photo_id, coalesce(p.title, ''), coalesce(p.department, ''), v.verified_ms
     FROM account a LEFT JOIN doctor_profile p ON p.doctor_id = a.id
     LEFT JOIN doctor_verification v ON v.doctor_id = a.id AND v.state = 'approved' WHERE a.id = $1";

/// An invited doctor, in the form of the clinic's doctors.
pub(super) async fn invited(
    tx: &mut Transaction<'_>,
    doctor: UserId,
    inviter: UserId,
) -> Result<Option<ClinicDoctor>, Error> {
    let row = tx.query_first(PAGE, params![doctor.get()]).await?;
    row.map(|row| {
        Ok(ClinicDoctor {
            doctor_id: row.get(0)?,
            name: row.get(1)?,
            photo_id: row.get(2)?,
            title: row.get(3)?,
            department: row.get(4)?,
            inviter_id: inviter.get(),
            is_supervisor: false,
            supervisor_inviter_id: None,
            joined_ms: 0,
            verified_since: row.get(5)?,
        })
    })
    .transpose()
}

/// Appoints a supervisor; false when the doctor is not in the clinic.
pub(super) async fn appoint(
    tx: &mut Transaction<'_>,
    clinic: i64,
    doctor: UserId,
    inviter: i64,
) -> Result<bool, Error> {
    let appointed = tx
        .execute(
            "UPDATE clinic_doctor SET supervisor = $1, supervisor_inviter_id = $2
             WHERE clinic_id = $3 AND doctor_id = $4",
            params![true, inviter, clinic, doctor.get()],
        )
        .await?;
    Ok(appointed == 1)
}

const SHARED: &str = "SELECT 1 FROM clinic_doctor mine
     JOIN clinic_doctor theirs ON theirs.clinic_id = mine.clinic_id AND theirs.doctor_id = $2
     WHERE mine.doctor_id = $1 LIMIT 1";

/// Whether two doctors are in a clinic together.
pub(crate) async fn share_a_clinic(
    tx: &mut Transaction<'_>,
    one: UserId,
    other: UserId,
) -> Result<bool, Error> {
    let row = tx.query_first(SHARED, params![one.get(), other.get()]).await?;
    Ok(row.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(&by_id(), params![1_i64]).await;
        walks_an_index(&by_name(), params!["n"]).await;
        walks_an_index(&by_folded_name(), params!["n"]).await;
        walks_an_index(FOUNDED, params![1_i64]).await;
        walks_an_index(SUPERVISES, params![1_i64, 2_i64]).await;
        walks_an_index(&one_doctor(), params![1_i64, 2_i64]).await;
        doctors(1).walks_an_index().await;
        walks_an_index(SHARED, params![1_i64, 2_i64]).await;
    }
}
