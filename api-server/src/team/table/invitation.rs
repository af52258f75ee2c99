//! The SQL of invitations into a team.

use database::{Transaction, params};
use proto::UserId;

use crate::error::{Error, Word};

/// The sequence of invitation ids.
pub(in crate::team) const INVITATION_SEQUENCE: &str = "team_invitation";

/// An invitation to be made.
pub(in crate::team) struct NewInvitation {
    pub(in crate::team) team_id: i64,
    pub(in crate::team) id: i64,
    pub(in crate::team) inviter: UserId,
    pub(in crate::team) max_uses: i64,
    pub(in crate::team) created_ms: i64,
    pub(in crate::team) expires_ms: i64,
}

pub(in crate::team) async fn new_invitation(
    tx: &mut Transaction<'_>,
    new: &NewInvitation,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO team_invitation (team_id, id, inviter_id, max_uses, used, created_ms, expires_ms)
         VALUES ($1, $2, $3, $4, 0, $5, $6)",
        params![
            new.team_id,
            new.id,
            new.inviter.get(),
            new.max_uses,
            new.created_ms,
            new.expires_ms
        ],
    )
    .await?;
    Ok(())
}

/// Uses an invitation once; false when it is used up, was withdrawn, or has expired. The update decides, whatever requests
/// race.
pub(in crate::team) async fn use_invitation(
    tx: &mut Transaction<'_>,
    team: i64,
    id: i64,
    now_ms: i64,
) -> Result<bool, Error> {
    let used = tx
        .execute(
            "UPDATE team_invitation SET used = used + 1
             WHERE team_id = $1 AND id = $2 AND used < max_uses AND expires_ms > $3",
            params![team, id, now_ms],
        )
        .await?;
    Ok(used == 1)
}

const FORGET: &str = "DELETE FROM team_invitation WHERE team_id = $1 AND expires_ms <= $2";
const COUNT: &str = "SELECT count(*) FROM team_invitation WHERE team_id = $1";

/// Removes the team's invitations that have expired.
pub(in crate::team) async fn forget_expired(
    tx: &mut Transaction<'_>,
    team: i64,
    now_ms: i64,
) -> Result<(), Error> {
    tx.execute(FORGET, params![team, now_ms]).await?;
    Ok(())
}

/// How many invitations a team has.
pub(in crate::team) async fn invitations(tx: &mut Transaction<'_>, team: i64) -> Result<i64, Error> {
    let row = tx.query_first(COUNT, params![team]).await?;
    Ok(row.map_or(Ok(0), |row| row.get(0))?)
}

pub(in crate::team) async fn withdraw_invitation(
    tx: &mut Transaction<'_>,
    team: i64,
    id: i64,
) -> Result<(), Error> {
    let withdrawn = tx
        .execute(
            "DELETE FROM team_invitation WHERE team_id = $1 AND id = $2",
            params![team, id],
        )
        .await?;
    if withdrawn == 1 {
        Ok(())
    } else {
        Err(Word::InvitationNotFound.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(FORGET, params![1_i64, 1_i64]).await;
        walks_an_index(COUNT, params![1_i64]).await;
    }
}
