//! The SQL of teams.

mod clock;
mod folding;
mod life;
mod member;
mod mine;
mod page;
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

pub(crate) use clock::clock_of;
pub(super) use clock::put_clock;
pub(crate) use folding::fold_names;
pub(crate) use life::{Leaving, close, detach, of_clinic, put_clinic, reopen};
pub(super) use life::{dissolve, hand_on, has_consults, has_fees, has_income};
pub(super) use member::{count_membership, is_member, members, put_acceptance, put_member, remove_member};
pub(crate) use member::{lock_member, times_of_membership};
pub(super) use mine::mine;
pub(super) use page::page;
pub(super) use search::{forget_pieces, found, put_pieces};

/// The sequence of team ids.
pub(super) const SEQUENCE: &str = "team";

/// The facts of a team that a new consult needs.
pub(crate) struct TeamOfConsult {
    pub(crate) name: String,
    pub(crate) assistant: UserId,
    pub(crate) assistant_name: String,
    pub(crate) consult_price_fen: i64,
    pub(crate) max_open_consults: i64,
    members_only: bool,
    agreement_version: i64,
    closed_ms: Option<i64>,
    dissolved_ms: Option<i64>,
    /// The version that the member accepted last; none: they are no member.
    accepted: Option<i64>,
    is_blocked: bool,
}

impl TeamOfConsult {
    /// Refuses a member who may not begin a consult with the team now.
    pub(crate) fn check_opening(&self) -> Result<(), Error> {
        check_works(self.closed_ms, self.dissolved_ms)?;
        if self.is_blocked {
            return Err(ErrorCode::TeamBlocked.into());
        }
        match self.accepted {
            None if self.members_only => Err(ErrorCode::MembershipRequired.into()),
            Some(accepted) if accepted < self.agreement_version => Err(ErrorCode::AgreementRequired.into()),
            _ => Ok(()),
        }
    }
}

/// Refuses a team that takes no members and consults.
pub(super) fn check_works(closed_ms: Option<i64>, dissolved_ms: Option<i64>) -> Result<(), Error> {
    match (closed_ms, dissolved_ms) {
        (_, Some(_)) => Err(ErrorCode::TeamDissolved.into()),
        (Some(_), None) => Err(ErrorCode::TeamClosed.into()),
        (None, None) => Ok(()),
    }
}

const TEAM: &str = concat!(
    "SELECT t.id, t.name, t.introduction, t.agreement, t.membership_fee_fen, t.consult_price_fen,
            t.owner_id, t.assistant_id, t.created_ms, t.agreement_version,
            (SELECT string_agg(CAST(d.doctor_id AS TEXT), ',' ORDER BY d.joined_ms, d.doctor_id)
             FROM team_doctor d WHERE d.team_id = t.id),
            t.members_only, t.max_open_consults, t.clinic_id, t.closed_ms, t.dissolved_ms, t.claims, ",
    clock::columns!(),
    " FROM team t WHERE t.id = $1"
);

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
        members_only: row.get(11)?,
        max_open_consults: row.get(12)?,
        clinic_id: row.get(13)?,
        closed_ms: row.get(14)?,
        dissolved_ms: row.get(15)?,
        claims: row.get(16)?,
        clock: clock::clock(row, 17)?,
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

/// Locks a team to the end of the transaction, dissolved or not; others may hold the lock, too. Its owner stays.
pub(crate) async fn lock_row(tx: &mut Transaction<'_>, id: i64) -> Result<(), Error> {
    tx.lock_shared("SELECT id FROM team WHERE id = $1", params![id])
        .await?;
    Ok(())
}

/// A team whose row is locked to the end of the transaction, dissolved or not.
pub(super) async fn lock_any(tx: &mut Transaction<'_>, id: i64) -> Result<Team, Error> {
    tx.enqueue_lock("SELECT id FROM team WHERE id = $1", params![id])
        .await?;
    Ok(team_in(tx, id).await?.ok_or(ErrorCode::TeamNotFound)?)
}

/// As [`lock_any`]. A dissolved team changes no more.
pub(super) async fn lock(tx: &mut Transaction<'_>, id: i64) -> Result<Team, Error> {
    let team = lock_any(tx, id).await?;
    if team.dissolved_ms.is_some() {
        return Err(ErrorCode::TeamDissolved.into());
    }
    Ok(team)
}

pub(super) async fn new_team(tx: &mut Transaction<'_>, team: &Team) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO team (id, name, introduction, agreement, membership_fee_fen, consult_price_fen,
                           owner_id, assistant_id, created_ms, agreement_version, search_name, folded_from,
                           members_only, max_open_consults)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $2, $12, $13)",
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
            name::searched(&team.name),
            team.members_only,
            team.max_open_consults
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
                         agreement_version = $6, search_name = $7, folded_from = $1, members_only = $8,
                         max_open_consults = $9, claims = $11
         WHERE id = $10",
        params![
            team.name.as_str(),
            team.introduction.as_str(),
            team.agreement.as_str(),
            team.membership_fee_fen,
            team.consult_price_fen,
            team.agreement_version,
            name::searched(&team.name),
            team.members_only,
            team.max_open_consults,
            team.team_id,
            team.claims
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
    let owner = Came {
        inviter: None,
        link: None,
        field: "doctor_id",
    };
    put_doctor(tx, team, doctor, owner, now_ms).await
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

/// How a doctor came into a team.
pub(super) struct Came {
    pub(super) inviter: Option<i64>,
    /// The invitation by link; none in person.
    pub(super) link: Option<i64>,
    /// Named by a refusal.
    pub(super) field: &'static str,
}

/// Inserts a counted doctor into a team.
pub(super) async fn put_doctor(
    tx: &mut Transaction<'_>,
    team: i64,
    doctor: UserId,
    came: Came,
    now_ms: i64,
) -> Result<(), Error> {
    let outcome = tx
        .execute(
            "INSERT INTO team_doctor (team_id, doctor_id, joined_ms, inviter_id, invitation_id)
             VALUES ($1, $2, $3, $4, $5)",
            params![team, doctor.get(), now_ms, came.inviter, came.link],
        )
        .await;
    match outcome {
        Ok(_) => Ok(()),
        Err(error) if error.constraint() == Some("team_doctor_pkey") => {
            Err(Error::new(ErrorCode::TeamAlreadyIn).field(came.field))
        }
        Err(error) => Err(error.into()),
    }
}

const LINK: &str = "SELECT invitation_id FROM team_doctor WHERE team_id = $1 AND doctor_id = $2";

/// The link that a doctor of a team joined by.
pub(super) async fn link_of(
    tx: &mut Transaction<'_>,
    team: i64,
    doctor: UserId,
) -> Result<Option<i64>, Error> {
    let row = tx.query_first(LINK, params![team, doctor.get()]).await?;
    Ok(row.map_or(Ok(None), |row| row.get(0))?)
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
            d.inviter_id, d.joined_ms, coalesce(p.expertise, ''), v.verified_ms
     FROM team_doctor d JOIN account a ON a.id = d.doctor_id
     LEFT JOIN doctor_profile p ON p.doctor_id = d.doctor_id
     LEFT JOIN doctor_verification v ON v.doctor_id = d.doctor_id AND v.state = 'approved'
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
        expertise: row.get(7)?,
        verified_since: row.get(8)?,
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

const OF_CONSULT: &str =
    "SELECT t.name, t.assistant_id, a.name, t.consult_price_fen, t.max_open_consults, t.members_only,
            t.agreement_version, t.closed_ms, t.dissolved_ms, m.agreement_version, b.user_id IS NOT NULL
     FROM team t JOIN account a ON a.id = t.assistant_id
     LEFT JOIN team_member m ON m.team_id = t.id AND m.member_id = $2
     LEFT JOIN place_block b ON b.place = 'team' AND b.place_id = t.id AND b.user_id = $2
     WHERE t.id = $1";

/// The team of a new consult, as the member who begins it finds it. Not locked: a consult that begins while its team closes is
/// ended by the job of closings.
pub(crate) async fn team_of_consult(
    tx: &mut Transaction<'_>,
    id: i64,
    member: UserId,
) -> Result<Option<TeamOfConsult>, Error> {
    let row = tx.query_first(OF_CONSULT, params![id, member.get()]).await?;
    row.map(|row| {
        Ok(TeamOfConsult {
            name: row.get(0)?,
            assistant: UserId::from_database(row.get(1)?),
            assistant_name: row.get(2)?,
            consult_price_fen: row.get(3)?,
            max_open_consults: row.get(4)?,
            members_only: row.get(5)?,
            agreement_version: row.get(6)?,
            closed_ms: row.get(7)?,
            dissolved_ms: row.get(8)?,
            accepted: row.get(9)?,
            is_blocked: row.get(10)?,
        })
    })
    .transpose()
}

/// Whether the doctors of a team claim consults; its row is locked, so that it stays so to the end of the transaction.
pub(crate) async fn lock_claims(tx: &mut Transaction<'_>, team: i64) -> Result<bool, Error> {
    let sql = "UPDATE team SET claims = claims WHERE id = $1 RETURNING claims";
    let row = tx.query_first(sql, params![team]).await?;
    Ok(row.ok_or(ErrorCode::TeamNotFound)?.get(0)?)
}

/// Whether a user is one of the team's doctors; the row is locked, so that they stay one to the end of the transaction.
pub(crate) async fn lock_doctor(tx: &mut Transaction<'_>, team: i64, doctor: UserId) -> Result<bool, Error> {
    Ok(tx
        .lock_row(
            "SELECT joined_ms FROM team_doctor WHERE team_id = $1 AND doctor_id = $2",
            params![team, doctor.get()],
        )
        .await?)
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
        walks_an_index(LINK, params![1_i64, 2_i64]).await;
        walks_an_index(OF_CONSULT, params![1_i64, 2_i64]).await;
        doctors(1).walks_an_index().await;
    }
}
