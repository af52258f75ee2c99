//! The SQL of a team's consults.

use database::{Database, Transaction, params};
use proto::UserId;

use super::super::record::{JOINS, Record, columns, columns_as_of_p};
use crate::http::{answer::List, error::Error};

fn finished_sql() -> String {
    format!(
        "SELECT {} FROM consult c {JOINS}
         WHERE c.team_id = $1 AND c.status = 'finished' AND (c.created_ms, c.id) < ($2, $3)
         ORDER BY c.created_ms DESC, c.id DESC LIMIT $4",
        columns()
    )
}

const COUNT_FINISHED: &str = "SELECT count(*) FROM consult WHERE team_id = $1 AND status = 'finished'";

/// A team's finished consults, the newest first.
pub(crate) fn finished(team: i64) -> List<Record> {
    List {
        items: finished_sql().into(),
        count: COUNT_FINISHED.into(),
        keys: params![team],
        item: Record::from_row,
        place: Record::place,
    }
}

/// Counts a team's finished consults.
pub(crate) async fn count_finished(database: &Database, team: i64) -> Result<i64, Error> {
    let row = database.query_first(COUNT_FINISHED, params![team]).await?;
    Ok(row.map_or(Ok(0), |row| row.get(0))?)
}

/// A doctor's work in consults of a team, for a statement's end: they are in it, or served before they left.
const SEATED: &str =
    "p.user_id = $1 AND p.team_id = $2 AND p.role = 'doctor' AND (p.shelf <> 'removed' OR p.served)";

fn served_sql() -> String {
    format!(
        "SELECT {} FROM consult_person p JOIN consult c ON c.id = p.consult_id {JOINS}
         WHERE {SEATED} AND (p.created_ms, p.consult_id) < ($3, $4)
         ORDER BY p.created_ms DESC, p.consult_id DESC LIMIT $5",
        columns_as_of_p()
    )
}

fn count_seated_sql() -> String {
    format!("SELECT count(*) FROM consult_person p WHERE {SEATED}")
}

fn count_served_sql() -> String {
    format!(
        "SELECT count(*) FROM consult_person p JOIN consult c ON c.id = p.consult_id
         WHERE {SEATED} AND c.status = 'finished'"
    )
}

/// A doctor's consults in a team, in any state, the newest first; those that they left as of that moment.
pub(crate) fn served(team: i64, doctor: UserId) -> List<Record> {
    List {
        items: served_sql().into(),
        count: count_seated_sql().into(),
        keys: params![doctor.get(), team],
        item: Record::from_row,
        place: Record::place,
    }
}

/// Counts the finished consults of a team that a doctor served in.
pub(crate) async fn count_served(database: &Database, team: i64, doctor: UserId) -> Result<i64, Error> {
    let row = database
        .query_first(count_served_sql(), params![doctor.get(), team])
        .await?;
    Ok(row.map_or(Ok(0), |row| row.get(0))?)
}

const RUNNING: &str = "SELECT count(*) FROM consult_person p
     WHERE p.user_id = $1 AND p.team_id = $2 AND p.role = 'doctor' AND p.shelf = 'in_process'";

/// Counts a doctor's running consults in a team.
pub(crate) async fn running_of(tx: &mut Transaction<'_>, team: i64, doctor: UserId) -> Result<i64, Error> {
    let row = tx.query_first(RUNNING, params![doctor.get(), team]).await?;
    Ok(row.map_or(Ok(0), |row| row.get(0))?)
}

const OPEN: &str = "SELECT count(*) FROM consult_person p
     WHERE p.user_id = $1 AND p.team_id = $2 AND p.role = 'patient' AND p.shelf = 'in_process'";

/// Counts the open consults of a member with a team. The member's account is locked.
pub(crate) async fn open_of(tx: &mut Transaction<'_>, member: UserId, team: i64) -> Result<i64, Error> {
    let row = tx.query_first(OPEN, params![member.get(), team]).await?;
    Ok(row.map_or(Ok(0), |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{walks, walks_an_index};

    #[tokio::test]
    async fn statements_walk_an_index() {
        finished(1).walks_an_index().await;
        served(1, UserId::from_database(1)).walks_an_index().await;
        walks_an_index(&count_served_sql(), params![1_i64, 1_i64]).await;
        // A member may have had thousands with the team, and a doctor a hundred thousand.
        walks("consult_person_open", RUNNING, params![1_i64, 1_i64]).await;
        walks("consult_person_open", OPEN, params![1_i64, 1_i64]).await;
    }
}
