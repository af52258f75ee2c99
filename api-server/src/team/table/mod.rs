//! The SQL of teams.

mod folding;
mod member;
mod mine;
mod search;

use database::{Database, Row, Transaction, params};
use proto::UserId;

use super::{
    MAX_TEAMS, Team,
    find::{agreement::Agreement, name},
    roster::doctors::TeamDoctor,
};
use crate::http::{
    answer::List,
    error::{Error, ErrorCode},
    input::Cursor,
};

pub(crate) use folding::fold_names;
pub(super) use member::{members, put_acceptance, put_member, remove_member};
pub(super) use mine::mine;
pub(super) use search::{forget_pieces, found, put_pieces};

/// The sequence of team ids.
pub(super) const SEQUENCE: &str = "team";

/// The facts of a team that a new consult needs.
pub(crate) struct TeamOfConsult {
    pub(crate) name: String,
    pub(crate) assistant: UserId,
    pub(crate) assistant_name: String,
}

const TEAM: &str =
    "SELECT t.id, t.name, t.introduction, t.agreement, t.membership_fee_fen, t.consult_price_fen,
            t.owner_id, t.assistant_id, t.created_ms, t.agreement_version,
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
        agreement_version: row.get(9)?,
        doctor_ids: ids(row.get(10)?)?,
    })
}

/// Parses the text of a `string_agg` over ids.
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

/// A team whose row is locked to the end of the transaction.
pub(super) async fn lock(tx: &mut Transaction<'_>, id: i64) -> Result<Team, Error> {
    tx.execute("UPDATE team SET owner_id = owner_id WHERE id = $1", params![id])
        .await?;
    Ok(team_in(tx, id).await?.ok_or(ErrorCode::TeamNotFound)?)
}

pub(super) async fn new_team(tx: &mut Transaction<'_>, team: &Team) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO team (id, name, introduction, agreement, membership_fee_fen, consult_price_fen,
                           owner_id, assistant_id, created_ms, agreement_version, search_name, folded_from)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $2)",
        params![
            team.team_id,
            team.name.as_str(),
            team.introduction.as_str(),
            team.agreement.as_str(),
            team.membership_fee_fen,
            team.consult_price_fen,
            team.owner_id,
            team.assistant_id,
            team.created_ms,
            team.agreement_version,
            name::searched(&team.name)
        ],
    )
    .await?;
    new_agreement(tx, team, team.created_ms).await?;
    put_pieces(tx, team).await
}

/// Writes the changeable columns of a team.
pub(super) async fn put(tx: &mut Transaction<'_>, team: &Team) -> Result<(), Error> {
    tx.execute(
        "UPDATE team SET name = $1, introduction = $2, agreement = $3, membership_fee_fen = $4, consult_price_fen = $5,
                         agreement_version = $6, search_name = $7, folded_from = $1
         WHERE id = $8",
        params![
            team.name.as_str(),
            team.introduction.as_str(),
            team.agreement.as_str(),
            team.membership_fee_fen,
            team.consult_price_fen,
            team.agreement_version,
            name::searched(&team.name),
            team.team_id
        ],
    )
    .await?;
    Ok(())
}

/// Inserts the team's current agreement under its version.
pub(super) async fn new_agreement(tx: &mut Transaction<'_>, team: &Team, now_ms: i64) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO team_agreement (team_id, version, agreement, created_ms) VALUES ($1, $2, $3, $4)",
        params![
            team.team_id,
            team.agreement_version,
            team.agreement.as_str(),
            now_ms
        ],
    )
    .await?;
    Ok(())
}

pub(super) async fn agreement(
    database: &Database,
    team: i64,
    version: i64,
) -> Result<Option<Agreement>, Error> {
    let row = database
        .query_first(
            "SELECT team_id, version, agreement, created_ms FROM team_agreement WHERE team_id = $1 AND version = $2",
            params![team, version],
        )
        .await?;
    row.map(|row| {
        Ok(Agreement {
            team_id: row.get(0)?,
            version: row.get(1)?,
            agreement: row.get(2)?,
            created_ms: row.get(3)?,
        })
    })
    .transpose()
}

/// Adds a doctor, and counts the team against their [`MAX_TEAMS`].
pub(super) async fn add_doctor(
    tx: &mut Transaction<'_>,
    team: i64,
    doctor: UserId,
    now_ms: i64,
) -> Result<(), Error> {
    count_doctor(tx, team, doctor, "doctor_id").await?;
    put_doctor(tx, team, doctor, None, "doctor_id", now_ms).await
}

/// Counts one more team of a doctor: the update of the account's row decides between racing requests. A refusal names
/// `field`.
pub(super) async fn count_doctor(
    tx: &mut Transaction<'_>,
    team: i64,
    doctor: UserId,
    field: &'static str,
) -> Result<(), Error> {
    let counted = tx
        .execute(
            "UPDATE account SET team_count = team_count + 1 WHERE id = $1 AND role = 'doctor' AND team_count < $2",
            params![doctor.get(), MAX_TEAMS],
        )
        .await?;
    if counted == 1 {
        return Ok(());
    }
    // For a doctor of this team, being in it is the reason that helps; the limit is not.
    if lock_doctor(tx, team, doctor).await? {
        return Err(Error::new(ErrorCode::TeamAlreadyIn).field(field));
    }
    Err(ErrorCode::TeamLimit.into())
}

/// Inserts a counted doctor into a team.
pub(super) async fn put_doctor(
    tx: &mut Transaction<'_>,
    team: i64,
    doctor: UserId,
    inviter: Option<i64>,
    field: &'static str,
    now_ms: i64,
) -> Result<(), Error> {
    let outcome = tx
        .execute(
            "INSERT INTO team_doctor (team_id, doctor_id, joined_ms, inviter_id) VALUES ($1, $2, $3, $4)",
            params![team, doctor.get(), now_ms, inviter],
        )
        .await;
    match outcome {
        Ok(_) => Ok(()),
        Err(error) if error.constraint() == Some("team_doctor_pkey") => {
            Err(Error::new(ErrorCode::TeamAlreadyIn).field(field))
        }
        Err(error) => Err(error.into()),
    }
}

/// Removes a doctor whose account is locked; false when they are not in the team.
pub(super) async fn remove_doctor(
    tx: &mut Transaction<'_>,
    team: i64,
    doctor: UserId,
) -> Result<bool, Error> {
    let removed = tx
        .execute(
            "DELETE FROM team_doctor WHERE team_id = $1 AND doctor_id = $2",
            params![team, doctor.get()],
        )
        .await?;
    if removed == 0 {
        return Ok(false);
    }
    tx.execute(
        "UPDATE account SET team_count = team_count - 1 WHERE id = $1",
        params![doctor.get()],
    )
    .await?;
    Ok(true)
}

const DOCTORS: &str =
    "SELECT d.doctor_id, a.name, p.photo_id, coalesce(p.title, ''), coalesce(p.department, ''),
            d.inviter_id, d.joined_ms
     FROM team_doctor d JOIN account a ON a.id = d.doctor_id
     LEFT JOIN doctor_profile p ON p.doctor_id = d.doctor_id
     WHERE d.team_id = $1 AND (d.joined_ms, d.doctor_id) < ($2, $3)
     ORDER BY d.joined_ms DESC, d.doctor_id DESC LIMIT $4";

const COUNT_DOCTORS: &str = "SELECT count(*) FROM team_doctor WHERE team_id = $1";

fn doctor_row(row: &Row) -> Result<TeamDoctor, Error> {
    Ok(TeamDoctor {
        doctor_id: row.get(0)?,
        name: row.get(1)?,
        photo_id: row.get(2)?,
        title: row.get(3)?,
        department: row.get(4)?,
        inviter_id: row.get(5)?,
        joined_ms: row.get(6)?,
    })
}

/// The doctors of a team, the newest first.
pub(super) fn doctors(team: i64) -> List<TeamDoctor> {
    List {
        items: DOCTORS.into(),
        count: COUNT_DOCTORS.into(),
        keys: params![team],
        item: doctor_row,
        place: |doctor| Cursor {
            at: doctor.joined_ms,
            id: doctor.doctor_id,
        },
    }
}

/// The team of a new consult.
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

/// Whether a user is one of the team's doctors; the row is locked, so that they stay one to the end of the transaction.
pub(crate) async fn lock_doctor(tx: &mut Transaction<'_>, team: i64, doctor: UserId) -> Result<bool, Error> {
    let taken = tx
        .execute(
            "UPDATE team_doctor SET joined_ms = joined_ms WHERE team_id = $1 AND doctor_id = $2",
            params![team, doctor.get()],
        )
        .await?;
    Ok(taken == 1)
}

/// Whether a user is one of the team's doctors; `None` when the team does not exist.
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
        doctors(1).walks_an_index().await;
    }
}
