//! The SQL of work in a period.

use std::collections::BTreeMap;

use database::{Database, Row, params};
use ledger::Month;
use proto::UserId;

use super::super::{
    figures::Period,
    withdrawable::{DoctorWork, WorkItem},
};
use crate::http::error::Error;

/// The kind of a consult.
pub(in crate::income) const CONSULT: &str = "consult";
/// The kind of a value-added service.
pub(in crate::income) const VAS: &str = "vas";

/// The name is read once for each doctor, not for each consult.
const CONSULTS: &str = "SELECT p.user_id, (SELECT a.name FROM account a WHERE a.id = p.user_id), count(*)
     FROM consult c JOIN consult_person p ON p.consult_id = c.id
     WHERE c.team_id = $1 AND c.month >= $2 AND c.month <= $3 AND p.role = 'doctor' GROUP BY p.user_id";

const SERVICES: &str =
    "SELECT v.doctor_id, (SELECT a.name FROM account a WHERE a.id = v.doctor_id), count(*),
            CAST(sum(v.price_fen) AS BIGINT)
     FROM vas v WHERE v.team_id = $1 AND v.month >= $2 AND v.month <= $3 GROUP BY v.doctor_id";

/// The work of each doctor who took part in a period, in the order of their ids.
pub(in crate::income) async fn doctors(
    database: &Database,
    team: i64,
    period: Period,
) -> Result<Vec<DoctorWork>, Error> {
    let parameters = || params![team, period.from.get(), period.to.get()];
    let mut doctors: BTreeMap<i64, DoctorWork> = BTreeMap::new();
    for row in database.query(CONSULTS, parameters()).await? {
        entry(&mut doctors, &row)?.consult_count = row.get(2)?;
    }
    for row in database.query(SERVICES, parameters()).await? {
        let doctor = entry(&mut doctors, &row)?;
        doctor.vas_count = row.get(2)?;
        doctor.vas_amount_fen = row.get(3)?;
    }
    Ok(doctors.into_values().collect())
}

fn entry<'d>(doctors: &'d mut BTreeMap<i64, DoctorWork>, row: &Row) -> Result<&'d mut DoctorWork, Error> {
    let doctor_id: i64 = row.get(0)?;
    let doctor_name: String = row.get(1)?;
    Ok(doctors.entry(doctor_id).or_insert(DoctorWork {
        doctor_id,
        doctor_name,
        consult_count: 0,
        vas_count: 0,
        vas_amount_fen: 0,
    }))
}

/// A part of the list of a doctor's work, which is one walk of an index: the consults or the services of a month.
#[derive(Clone, Copy, Debug)]
pub(in crate::income) struct Place {
    month: Month,
    kind: &'static str,
}

impl Place {
    /// Falls along the list.
    pub(in crate::income) fn order(self) -> i64 {
        self.month.get() * 2 + i64::from(self.kind == CONSULT)
    }
}

/// The parts of the list, in its order.
pub(in crate::income) fn places(period: Period) -> impl Iterator<Item = Place> {
    let kinds = |month| [CONSULT, VAS].map(|kind| Place { month, kind });
    period.months().flat_map(kinds)
}

const CONSULTS_OF: &str = "SELECT c.id, c.ended_ms, h.price_fen, h.refunded_fen
     FROM consult c JOIN consult_person p ON p.consult_id = c.id
     LEFT JOIN consult_charge h ON h.consult_id = c.id
     WHERE c.team_id = $1 AND c.month = $2 AND c.id < $4 AND p.user_id = $3 AND p.role = 'doctor'
     ORDER BY c.id DESC LIMIT $5";

const SERVICES_OF: &str =
    "SELECT v.consult_id, v.decided_ms, v.price_fen, v.refunded_fen, v.id, v.name FROM vas v
     WHERE v.team_id = $1 AND v.month = $2 AND v.doctor_id = $3 AND v.id < $4 ORDER BY v.id DESC LIMIT $5";

const COUNT_CONSULTS: &str = "SELECT count(*) FROM consult c JOIN consult_person p ON p.consult_id = c.id
     WHERE c.team_id = $1 AND c.month >= $2 AND c.month <= $3 AND p.user_id = $4 AND p.role = 'doctor'";

const COUNT_SERVICES: &str =
    "SELECT count(*) FROM vas WHERE team_id = $1 AND month >= $2 AND month <= $3 AND doctor_id = $4";

/// The work of one doctor in a team.
pub(in crate::income) struct Work<'d> {
    pub(in crate::income) database: &'d Database,
    pub(in crate::income) team: i64,
    pub(in crate::income) doctor: UserId,
}

impl Work<'_> {
    /// The items of a part with ids below one, the newest first.
    pub(in crate::income) async fn items(
        &self,
        place: Place,
        below: i64,
        limit: i64,
    ) -> Result<Vec<WorkItem>, Error> {
        let sql = if place.kind == CONSULT {
            CONSULTS_OF
        } else {
            SERVICES_OF
        };
        let parameters = params![self.team, place.month.get(), self.doctor.get(), below, limit];
        let rows = self.database.query(sql, parameters).await?;
        rows.iter().map(|row| item(row, place)).collect()
    }

    /// Counts all items of a period.
    pub(in crate::income) async fn count(&self, period: Period) -> Result<i64, Error> {
        let mut total = 0;
        for sql in [COUNT_CONSULTS, COUNT_SERVICES] {
            let parameters = params![self.team, period.from.get(), period.to.get(), self.doctor.get()];
            let row = self.database.query_first(sql, parameters).await?;
            total += row.map_or(Ok(0), |row| row.get::<i64>(0))?;
        }
        Ok(total)
    }
}

fn item(row: &Row, place: Place) -> Result<WorkItem, Error> {
    let is_service = place.kind == VAS;
    Ok(WorkItem {
        kind: place.kind,
        month: place.month.to_string(),
        consultation_id: row.get(0)?,
        vas_id: if is_service { Some(row.get(4)?) } else { None },
        name: if is_service { Some(row.get(5)?) } else { None },
        price_fen: row.get(2)?,
        refunded_fen: row.get(3)?,
        ended_ms: row.get::<Option<i64>>(1)?.unwrap_or_default(),
        place,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        for sql in [CONSULTS_OF, SERVICES_OF] {
            walks_an_index(sql, params![1_i64, 202_612_i64, 1_i64, 9_i64, 51_i64]).await;
        }
        for sql in [COUNT_CONSULTS, COUNT_SERVICES] {
            walks_an_index(sql, params![1_i64, 202_611_i64, 202_612_i64, 1_i64]).await;
        }
    }
}
