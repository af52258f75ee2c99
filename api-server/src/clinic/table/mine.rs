//! The SQL of a doctor's clinics.

use database::{Row, params};
use proto::UserId;

use crate::{
    clinic::find::mine::MyClinic,
    http::{answer::List, error::Error, input::Cursor},
};

const MINE: &str =
    "SELECT c.id, c.name, c.introduction, c.founder_id, d.inviter_id, d.supervisor, d.joined_ms
     FROM clinic_doctor d JOIN clinic c ON c.id = d.clinic_id
     WHERE d.doctor_id = $1 AND (d.joined_ms, d.clinic_id) < ($2, $3)
     ORDER BY d.joined_ms DESC, d.clinic_id DESC LIMIT $4";
const COUNT: &str = "SELECT count(*) FROM clinic_doctor WHERE doctor_id = $1";

fn row(row: &Row) -> Result<MyClinic, Error> {
    Ok(MyClinic {
        clinic_id: row.get(0)?,
        name: row.get(1)?,
        introduction: row.get(2)?,
        founder_id: row.get(3)?,
        inviter_id: row.get(4)?,
        is_supervisor: row.get(5)?,
        joined_ms: row.get(6)?,
    })
}

/// The clinics of a doctor, the newest first.
pub(in crate::clinic) fn mine(doctor: UserId) -> List<MyClinic> {
    List {
        items: MINE.into(),
        count: COUNT.into(),
        keys: params![doctor.get()],
        item: row,
        place: |clinic| Cursor {
            at: clinic.joined_ms,
            id: clinic.clinic_id,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn statements_walk_an_index() {
        mine(UserId::from_database(1)).walks_an_index().await;
    }
}
