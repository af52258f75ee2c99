//! The SQL of consults that end without an act of their users: the team was closed, or a doctor suspended.

use database::{Database, Row, Transaction, params};
use proto::UserId;

use crate::http::error::Error;

/// A step that a consult waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::consult) struct Due {
    pub(in crate::consult) consult: i64,
    /// The consult's assistant, in whose name the service acts.
    pub(in crate::consult) assistant: UserId,
    /// The doctor who is to leave; none: the consult is to end.
    pub(in crate::consult) doctor: Option<UserId>,
}

const CLOSED: &str = "SELECT c.id, c.assistant_id, NULL FROM team t
     JOIN consult c ON c.team_id = t.id AND c.status IN ('waiting', 'in_process')
     WHERE t.closed_ms > 0";

const SUSPENDED: &str = "SELECT c.id, c.assistant_id, p.user_id FROM doctor_verification v
     JOIN consult_person p ON p.user_id = v.doctor_id AND p.shelf = 'in_process'
     JOIN consult c ON c.id = p.consult_id
     WHERE v.state = 'suspended' AND p.role = 'doctor'";

/// The consults to look for.
#[derive(Clone, Copy, Debug)]
pub(in crate::consult) enum Sought {
    /// Of any closed team, and of any suspended doctor.
    All,
    /// Of one closed team.
    Team(i64),
    /// Of one suspended doctor.
    Doctor(UserId),
}

fn due_row(row: &Row) -> Result<Due, Error> {
    let doctor: Option<i64> = row.get(2)?;
    Ok(Due {
        consult: row.get(0)?,
        assistant: UserId::from_database(row.get(1)?),
        doctor: doctor.map(UserId::from_database),
    })
}

fn any(of: &str) -> String {
    format!("{of} LIMIT $1")
}

fn of_team() -> String {
    format!("{CLOSED} AND t.id = $2 LIMIT $1")
}

fn of_doctor() -> String {
    format!("{SUSPENDED} AND v.doctor_id = $2 LIMIT $1")
}

/// Steps that are due, at most `limit` of each kind.
pub(in crate::consult) async fn due(
    database: &Database,
    sought: Sought,
    limit: i64,
) -> Result<Vec<Due>, Error> {
    let rows = match sought {
        Sought::All => {
            let mut rows = database.query(any(CLOSED), params![limit]).await?;
            rows.extend(database.query(any(SUSPENDED), params![limit]).await?);
            rows
        }
        Sought::Team(team) => database.query(of_team(), params![limit, team]).await?,
        Sought::Doctor(doctor) => database.query(of_doctor(), params![limit, doctor.get()]).await?,
    };
    rows.iter().map(due_row).collect()
}

fn still_closed() -> String {
    format!("{CLOSED} AND c.id = $1")
}

fn still_suspended() -> String {
    format!("{SUSPENDED} AND p.consult_id = $1 AND p.user_id = $2")
}

/// Whether a step is still due, once the consult is locked.
pub(in crate::consult) async fn is_due(tx: &mut Transaction<'_>, due: Due) -> Result<bool, Error> {
    let row = match due.doctor {
        None => tx.query_first(still_closed(), params![due.consult]).await?,
        Some(doctor) => {
            let parameters = params![due.consult, doctor.get()];
            tx.query_first(still_suspended(), parameters).await?
        }
    };
    Ok(row.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        for of in [CLOSED, SUSPENDED] {
            walks_an_index(&any(of), params![1_i64]).await;
        }
        for sql in [of_team(), of_doctor(), still_suspended()] {
            walks_an_index(&sql, params![1_i64, 1_i64]).await;
        }
        walks_an_index(&still_closed(), params![1_i64]).await;
    }
}
