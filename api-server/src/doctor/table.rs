//! The SQL of doctors' pages.

use database::{Database, Row, Transaction, params};

use super::Doctor;
use crate::http::error::Error;

const DOCTOR: &str = "SELECT a.id, a.name, p.photo_id, coalesce(p.title, ''), coalesce(p.department, ''),
            coalesce(p.expertise, ''), coalesce(p.honours, ''), coalesce(p.introduction, '')
     FROM account a LEFT JOIN doctor_profile p ON p.doctor_id = a.id
     WHERE a.id = $1 AND a.role = 'doctor'";

fn doctor_row(row: &Row) -> Result<Doctor, Error> {
    Ok(Doctor {
        doctor_id: row.get(0)?,
        name: row.get(1)?,
        photo_id: row.get(2)?,
        title: row.get(3)?,
        department: row.get(4)?,
        expertise: row.get(5)?,
        honours: row.get(6)?,
        introduction: row.get(7)?,
    })
}

pub(super) async fn doctor(database: &Database, id: i64) -> Result<Option<Doctor>, Error> {
    let row = database.query_first(DOCTOR, params![id]).await?;
    row.as_ref().map(doctor_row).transpose()
}

pub(super) async fn doctor_in(tx: &mut Transaction<'_>, id: i64) -> Result<Option<Doctor>, Error> {
    let row = tx.query_first(DOCTOR, params![id]).await?;
    row.as_ref().map(doctor_row).transpose()
}

pub(super) async fn put(tx: &mut Transaction<'_>, doctor: &Doctor, now_ms: i64) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO doctor_profile (doctor_id, photo_id, title, department, expertise, honours, introduction,
                                     updated_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (doctor_id) DO UPDATE SET
           photo_id = excluded.photo_id, title = excluded.title, department = excluded.department,
           expertise = excluded.expertise, honours = excluded.honours, introduction = excluded.introduction,
           updated_ms = excluded.updated_ms",
        params![
            doctor.doctor_id,
            doctor.photo_id.clone(),
            doctor.title.as_str(),
            doctor.department.as_str(),
            doctor.expertise.as_str(),
            doctor.honours.as_str(),
            doctor.introduction.as_str(),
            now_ms
        ],
    )
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(DOCTOR, params![1_i64]).await;
    }
}
