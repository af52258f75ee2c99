//! The SQL of a doctor's clinics.

use database::{Database, params};
use proto::UserId;

use crate::{
    clinic::find::mine::MyClinic,
    http::{error::Error, input::PageQuery},
};

const MINE: &str =
    "SELECT c.id, c.name, c.introduction, c.founder_id, d.inviter_id, d.supervisor, d.joined_ms
     FROM clinic_doctor d JOIN clinic c ON c.id = d.clinic_id
     WHERE d.doctor_id = $1 AND (d.joined_ms, d.clinic_id) < ($2, $3)
     ORDER BY d.joined_ms DESC, d.clinic_id DESC LIMIT $4";
const COUNT: &str = "SELECT count(*) FROM clinic_doctor WHERE doctor_id = $1";
const LED: &str =
    "SELECT 1 FROM clinic c LEFT JOIN clinic_doctor d ON d.clinic_id = c.id AND d.doctor_id = $2
     WHERE c.id = $1 AND (c.founder_id = $2 OR d.supervisor)";

/// One row more than the page holds, the newest first.
pub(in crate::clinic) async fn mine(
    database: &Database,
    doctor: UserId,
    page: &PageQuery,
) -> Result<Vec<MyClinic>, Error> {
    let start = page.start();
    let rows = database
        .query(MINE, params![doctor.get(), start.at, start.id, page.limit + 1])
        .await?;
    rows.iter()
        .map(|row| {
            Ok(MyClinic {
                clinic_id: row.get(0)?,
                name: row.get(1)?,
                introduction: row.get(2)?,
                founder_id: row.get(3)?,
                inviter_id: row.get(4)?,
                is_supervisor: row.get(5)?,
                joined_ms: row.get(6)?,
            })
        })
        .collect()
}

pub(in crate::clinic) async fn count_mine(database: &Database, doctor: UserId) -> Result<i64, Error> {
    let row = database.query_first(COUNT, params![doctor.get()]).await?;
    Ok(row.map_or(Ok(0), |row| row.get(0))?)
}

/// Whether a user is the founder or a supervisor.
pub(in crate::clinic) async fn is_led_by(
    database: &Database,
    clinic: i64,
    user: UserId,
) -> Result<bool, Error> {
    let row = database.query_first(LED, params![clinic, user.get()]).await?;
    Ok(row.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(MINE, params![1_i64, 1_i64, 1_i64, 51_i64]).await;
        walks_an_index(COUNT, params![1_i64]).await;
        walks_an_index(LED, params![1_i64, 2_i64]).await;
    }
}
