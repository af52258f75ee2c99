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
    tx.execute(
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

    #[tokio::test]
    async fn statements_walk_an_index() {
        members(1).walks_an_index().await;
    }
}
