//! The SQL of a team's page.

use database::{Database, params};
use payment::Day;

use super::team;
use crate::{
    http::error::Error,
    team::find::show::{AnswerTime, PageClinic, PageDoctor, Rating, TeamPage},
};

/// Days of which a page shows how fast the team answers, milliseconds.
const DAYS_MS: i64 = 30 * 24 * 60 * 60 * 1000;

const DOCTORS: &str =
    "SELECT d.doctor_id, a.name, p.photo_id, coalesce(p.title, ''), coalesce(p.department, ''),
            coalesce(p.expertise, ''), v.verified_ms
     FROM team_doctor d JOIN account a ON a.id = d.doctor_id
     LEFT JOIN doctor_profile p ON p.doctor_id = d.doctor_id
     LEFT JOIN doctor_verification v ON v.doctor_id = d.doctor_id AND v.state = 'approved'
     WHERE d.team_id = $1 ORDER BY d.joined_ms, d.doctor_id LIMIT 50";

const CLINIC: &str = "SELECT c.id, c.name FROM team t JOIN clinic c ON c.id = t.clinic_id WHERE t.id = $1";

const ANSWERS: &str =
    "SELECT CAST(coalesce(sum(answers), 0) AS BIGINT), CAST(coalesce(sum(waited_ms), 0) AS BIGINT)
     FROM team_answer WHERE team_id = $1 AND day > $2";

/// From the thousandth newest on, so that a page costs the same however many there are.
const RATINGS: &str = "SELECT count(*), CAST(coalesce(sum(stars), 0) AS BIGINT) FROM consult_rating
     WHERE team_id = $1 AND created_ms >= coalesce(
         (SELECT r.created_ms FROM consult_rating r WHERE r.team_id = $1
          ORDER BY r.created_ms DESC, r.consult_id DESC LIMIT 1 OFFSET 999), 0)";

/// The page of a team.
pub(in crate::team) async fn page(
    database: &Database,
    id: i64,
    now_ms: i64,
) -> Result<Option<TeamPage>, Error> {
    let Some(team) = team(database, id).await? else {
        return Ok(None);
    };
    let doctors = database.query(DOCTORS, params![id]).await?;
    let doctor = |row: &database::Row| {
        Ok(PageDoctor {
            doctor_id: row.get(0)?,
            name: row.get(1)?,
            photo_id: row.get(2)?,
            title: row.get(3)?,
            department: row.get(4)?,
            expertise: row.get(5)?,
            verified_since: row.get(6)?,
        })
    };
    let clinic = database.query_first(CLINIC, params![id]).await?;
    let clinic = clinic.map(|row| {
        Ok::<_, Error>(PageClinic {
            clinic_id: row.get(0)?,
            name: row.get(1)?,
        })
    });
    let before = Day::at(now_ms - DAYS_MS).get();
    let (answers, waited_ms) = pair(database, ANSWERS, params![id, before]).await?;
    let (ratings, stars) = pair(database, RATINGS, params![id]).await?;
    Ok(Some(TeamPage {
        team,
        doctors: doctors.iter().map(doctor).collect::<Result<_, Error>>()?,
        clinic: clinic.transpose()?,
        answer_time: (answers > 0).then(|| AnswerTime {
            answers,
            mean_ms: waited_ms / answers,
        }),
        rating: (ratings > 0).then(|| Rating::of(ratings, stars)),
    }))
}

async fn pair(
    database: &Database,
    sql: &'static str,
    parameters: Vec<database::Value>,
) -> Result<(i64, i64), Error> {
    let row = database.query_first(sql, parameters).await?;
    row.map_or(Ok((0, 0)), |row| Ok((row.get(0)?, row.get(1)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        for sql in [DOCTORS, CLINIC, RATINGS] {
            walks_an_index(sql, params![1_i64]).await;
        }
        walks_an_index(ANSWERS, params![1_i64, 1_i64]).await;
    }
}
