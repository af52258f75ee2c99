//! The SQL of doctors' pages.

use database::{Database, Row, Transaction, params};

use super::{Doctor, DoctorClinic, DoctorTeam};
use crate::http::error::Error;

const DOCTOR: &str = "SELECT a.id, a.name, p.photo_id, coalesce(p.title, ''), coalesce(p.department, ''),
            coalesce(p.expertise, ''), coalesce(p.honours, ''), coalesce(p.introduction, ''), v.verified_ms
     FROM account a LEFT JOIN doctor_profile p ON p.doctor_id = a.id
     LEFT JOIN doctor_verification v ON v.doctor_id = a.id AND v.state = 'approved'
     WHERE a.id = $1 AND a.role = 'doctor'";

/// Clinics and teams of one doctor that work, the newest first. COALESCE keeps PostgreSQL from walking all that work.
const CLINICS: &str = "SELECT c.id, c.name FROM clinic_doctor d JOIN clinic c ON c.id = d.clinic_id
     WHERE d.doctor_id = $1 AND COALESCE(c.closed_ms, 0) = 0 ORDER BY d.joined_ms DESC, d.clinic_id DESC LIMIT 20";
const TEAMS: &str = "SELECT t.id, t.name FROM team_doctor d JOIN team t ON t.id = d.team_id
     WHERE d.doctor_id = $1 AND COALESCE(t.closed_ms, 0) = 0 ORDER BY d.joined_ms DESC, d.team_id DESC LIMIT 20";

fn doctor_row(row: &Row, clinics: &[Row], teams: &[Row]) -> Result<Doctor, Error> {
    let clinic = |row: &Row| {
        Ok(DoctorClinic {
            clinic_id: row.get(0)?,
            name: row.get(1)?,
        })
    };
    let team = |row: &Row| {
        Ok(DoctorTeam {
            team_id: row.get(0)?,
            name: row.get(1)?,
        })
    };
    Ok(Doctor {
        doctor_id: row.get(0)?,
        name: row.get(1)?,
        photo_id: row.get(2)?,
        title: row.get(3)?,
        department: row.get(4)?,
        expertise: row.get(5)?,
        honours: row.get(6)?,
        introduction: row.get(7)?,
        verified_since: row.get(8)?,
        clinics: clinics.iter().map(clinic).collect::<Result<_, Error>>()?,
        teams: teams.iter().map(team).collect::<Result<_, Error>>()?,
    })
}

pub(super) async fn doctor(database: &Database, id: i64) -> Result<Option<Doctor>, Error> {
    let Some(row) = database.query_first(DOCTOR, params![id]).await? else {
        return Ok(None);
    };
    let clinics = database.query(CLINICS, params![id]).await?;
    let teams = database.query(TEAMS, params![id]).await?;
    doctor_row(&row, &clinics, &teams).map(Some)
}

pub(super) async fn doctor_in(tx: &mut Transaction<'_>, id: i64) -> Result<Option<Doctor>, Error> {
    let Some(row) = tx.query_first(DOCTOR, params![id]).await? else {
        return Ok(None);
    };
    let clinics = tx.query(CLINICS, params![id]).await?;
    let teams = tx.query(TEAMS, params![id]).await?;
    doctor_row(&row, &clinics, &teams).map(Some)
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
        for sql in [DOCTOR, CLINICS, TEAMS] {
            walks_an_index(sql, params![1_i64]).await;
        }
    }
}
