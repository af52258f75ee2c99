//! The SQL of teams.

use database::{Database, Row, Transaction, params};
use proto::UserId;

use super::{MAX_TEAMS, Team};
use crate::error::{Error, Word};

/// The sequence of team ids.
pub(super) const SEQUENCE: &str = "team";

/// What a consult needs to know of its team.
pub(crate) struct TeamOfConsult {
    pub(crate) name: String,
    pub(crate) assistant: UserId,
    pub(crate) assistant_name: String,
}

const TEAM: &str =
    "SELECT t.id, t.name, t.introduction, t.agreement, t.membership_fee_fen, t.consult_price_fen,
            t.owner_id, t.assistant_id, t.created_ms,
            (SELECT string_agg(CAST(d.doctor_id AS TEXT), ',' ORDER BY d.joined_ms, d.doctor_id)
             FROM team_doctor d WHERE d.team_id = t.id)
     FROM team t WHERE t.id = $1";

fn team_row(row: &Row) -> Result<Team, Error> {
    Ok(Team {
        team_id: row.get(0)?,
        name: row.get(1)?,
        introduction: row.get(2)?,
        agreement: row.get(3)?,
        membership_fee_fen: row.get(4)?,
        consult_price_fen: row.get(5)?,
        owner_id: row.get(6)?,
        assistant_id: row.get(7)?,
        created_ms: row.get(8)?,
        doctor_ids: ids(row.get(9)?)?,
    })
}

/// Ids that came as one text.
pub(crate) fn ids(text: Option<String>) -> Result<Vec<i64>, Error> {
    text.unwrap_or_default()
        .split_terminator(',')
        .map(|id| id.parse().map_err(Error::internal))
        .collect()
}

pub(super) async fn team(database: &Database, id: i64) -> Result<Option<Team>, Error> {
    let row = database.query_first(TEAM, params![id]).await?;
    row.as_ref().map(team_row).transpose()
}

pub(super) async fn team_in(tx: &mut Transaction<'_>, id: i64) -> Result<Option<Team>, Error> {
    let row = tx.query_first(TEAM, params![id]).await?;
    row.as_ref().map(team_row).transpose()
}

pub(super) async fn new_team(tx: &mut Transaction<'_>, team: &Team) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO team (id, name, introduction, agreement, membership_fee_fen, consult_price_fen,
                           owner_id, assistant_id, created_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        params![
            team.team_id,
            team.name.as_str(),
            team.introduction.as_str(),
            team.agreement.as_str(),
            team.membership_fee_fen,
            team.consult_price_fen,
            team.owner_id,
            team.assistant_id,
            team.created_ms
        ],
    )
    .await?;
    Ok(())
}

/// Adds a doctor, who is counted against [`MAX_TEAMS`] in the same breath: the update of the account's row decides,
/// whatever requests race.
pub(super) async fn add_doctor(
    tx: &mut Transaction<'_>,
    team: i64,
    doctor: UserId,
    now_ms: i64,
) -> Result<(), Error> {
    let outcome = tx
        .execute(
            "INSERT INTO team_doctor (team_id, doctor_id, joined_ms) VALUES ($1, $2, $3)",
            params![team, doctor.get(), now_ms],
        )
        .await;
    match outcome {
        Ok(_) => {}
        Err(error) if error.constraint() == Some("team_doctor_pkey") => {
            return Err(Error::new(Word::TeamAlreadyIn).field("doctor_id"));
        }
        Err(error) => return Err(error.into()),
    }
    let counted = tx
        .execute(
            "UPDATE account SET team_count = team_count + 1 WHERE id = $1 AND role = 'doctor' AND team_count < $2",
            params![doctor.get(), MAX_TEAMS],
        )
        .await?;
    if counted == 1 {
        Ok(())
    } else {
        Err(Word::TeamLimit.into())
    }
}

/// The team that a consult is begun with.
pub(crate) async fn team_of_consult(
    tx: &mut Transaction<'_>,
    id: i64,
) -> Result<Option<TeamOfConsult>, Error> {
    let row = tx
        .query_first(
            "SELECT t.name, t.assistant_id, a.name FROM team t JOIN account a ON a.id = t.assistant_id WHERE t.id = $1",
            params![id],
        )
        .await?;
    row.map(|row| {
        Ok(TeamOfConsult {
            name: row.get(0)?,
            assistant: UserId::from_database(row.get(1)?),
            assistant_name: row.get(2)?,
        })
    })
    .transpose()
}

/// Whether somebody is one of the team's doctors, who then stays one to the end of the transaction.
pub(crate) async fn take_doctor(tx: &mut Transaction<'_>, team: i64, doctor: UserId) -> Result<bool, Error> {
    let taken = tx
        .execute(
            "UPDATE team_doctor SET joined_ms = joined_ms WHERE team_id = $1 AND doctor_id = $2",
            params![team, doctor.get()],
        )
        .await?;
    Ok(taken == 1)
}

/// Whether somebody is one of the team's doctors; none when there is no such team.
pub(crate) async fn has_doctor(
    database: &Database,
    team: i64,
    doctor: UserId,
) -> Result<Option<bool>, Error> {
    let row = database
        .query_first(
            "SELECT d.doctor_id IS NOT NULL FROM team t
             LEFT JOIN team_doctor d ON d.team_id = t.id AND d.doctor_id = $2 WHERE t.id = $1",
            params![team, doctor.get()],
        )
        .await?;
    Ok(row.map(|row| row.get(0)).transpose()?)
}

const SHARED: &str = "SELECT 1 FROM team_doctor mine
     JOIN team_doctor theirs ON theirs.team_id = mine.team_id AND theirs.doctor_id = $2
     WHERE mine.doctor_id = $1 LIMIT 1";

/// Whether two doctors are in a team together.
pub(crate) async fn share_a_team(
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
        walks_an_index(TEAM, params![1_i64]).await;
        walks_an_index(SHARED, params![1_i64, 2_i64]).await;
    }
}
