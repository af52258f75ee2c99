//! The SQL of a team's members.

use database::{Row, Transaction, params};
use proto::UserId;

use crate::{
    http::{answer::List, error::Error, input::Cursor},
    team::roster::members::TeamMember,
};

/// Inserts a member, or updates the version that they accept; false when they have accepted it already.
pub(in crate::team) async fn put_member(
    tx: &mut Transaction<'_>,
    team: i64,
    member: UserId,
    version: i64,
    now_ms: i64,
) -> Result<bool, Error> {
    let put = tx
        .execute(
            "INSERT INTO team_member (team_id, member_id, agreement_version, joined_ms) VALUES ($1, $2, $3, $4)
             ON CONFLICT (team_id, member_id) DO UPDATE SET agreement_version = excluded.agreement_version
             WHERE team_member.agreement_version < excluded.agreement_version",
            params![team, member.get(), version, now_ms],
        )
        .await?;
    Ok(put == 1)
}

/// Records that a member accepted a version; the first time is kept.
pub(in crate::team) async fn put_acceptance(
    tx: &mut Transaction<'_>,
    team: i64,
    member: UserId,
    version: i64,
    now_ms: i64,
) -> Result<(), Error> {
    tx.enqueue(
        "INSERT INTO team_acceptance (team_id, member_id, version, accepted_ms) VALUES ($1, $2, $3, $4)
         ON CONFLICT (team_id, member_id, version) DO NOTHING",
        params![team, member.get(), version, now_ms],
    )
    .await?;
    Ok(())
}

/// Removes a member; false when they are not in the team.
pub(in crate::team) async fn remove_member(
    tx: &mut Transaction<'_>,
    team: i64,
    member: UserId,
) -> Result<bool, Error> {
    let removed = tx
        .execute(
            "DELETE FROM team_member WHERE team_id = $1 AND member_id = $2",
            params![team, member.get()],
        )
        .await?;
    Ok(removed == 1)
}

const IS_MEMBER: &str = "SELECT 1 FROM team_member WHERE team_id = $1 AND member_id = $2";

/// Whether a user is a member of a locked team.
pub(in crate::team) async fn is_member(
    tx: &mut Transaction<'_>,
    team: i64,
    member: UserId,
) -> Result<bool, Error> {
    let row = tx.query_first(IS_MEMBER, params![team, member.get()]).await?;
    Ok(row.is_some())
}

/// Counts one more membership of a user in a team, and returns how many there were.
pub(in crate::team) async fn count_membership(
    tx: &mut Transaction<'_>,
    team: i64,
    member: UserId,
) -> Result<i64, Error> {
    let row = tx
        .query_first(
            "INSERT INTO membership (team_id, member_id, times) VALUES ($1, $2, 1)
             ON CONFLICT (team_id, member_id) DO UPDATE SET times = membership.times + 1 RETURNING times",
            params![team, member.get()],
        )
        .await?;
    let row = row.ok_or_else(|| Error::internal("membership gave no row"))?;
    Ok(row.get(0)?)
}

const TIMES: &str = "SELECT times FROM membership WHERE team_id = $1 AND member_id = $2";

/// How many memberships of a user in a team there were. Zero: they joined before memberships were counted.
pub(crate) async fn times_of_membership(
    tx: &mut Transaction<'_>,
    team: i64,
    member: UserId,
) -> Result<i64, Error> {
    let row = tx.query_first(TIMES, params![team, member.get()]).await?;
    Ok(row.map_or(Ok(0), |row| row.get(0))?)
}

/// Whether a user is a member of the team; the row is locked, so that they stay one to the end of the transaction.
pub(crate) async fn lock_member(tx: &mut Transaction<'_>, team: i64, member: UserId) -> Result<bool, Error> {
    Ok(tx
        .lock_row(
            "SELECT joined_ms FROM team_member WHERE team_id = $1 AND member_id = $2",
            params![team, member.get()],
        )
        .await?)
}

const MEMBERS: &str = "SELECT m.member_id, a.name, p.photo_id, m.agreement_version, m.joined_ms
     FROM team_member m JOIN account a ON a.id = m.member_id
     LEFT JOIN member_profile p ON p.member_id = m.member_id
     WHERE m.team_id = $1 AND (m.joined_ms, m.member_id) < ($2, $3)
     ORDER BY m.joined_ms DESC, m.member_id DESC LIMIT $4";

const COUNT: &str = "SELECT count(*) FROM team_member WHERE team_id = $1";

fn member_row(row: &Row) -> Result<TeamMember, Error> {
    Ok(TeamMember {
        member_id: row.get(0)?,
        name: row.get(1)?,
        photo_id: row.get(2)?,
        agreement_version: row.get(3)?,
        joined_ms: row.get(4)?,
    })
}

/// The members of a team, the newest first.
pub(in crate::team) fn members(team: i64) -> List<TeamMember> {
    List {
        items: MEMBERS.into(),
        count: COUNT.into(),
        keys: params![team],
        item: member_row,
        place: |member| Cursor {
            at: member.joined_ms,
            id: member.member_id,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        members(1).walks_an_index().await;
        walks_an_index(IS_MEMBER, params![1_i64, 1_i64]).await;
        walks_an_index(TIMES, params![1_i64, 1_i64]).await;
    }
}
