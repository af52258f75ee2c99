//! Users who may not come back into a team.

use axum::extract::State;
use database::Transaction;
use proto::UserId;

use crate::{
    account::Device,
    app::App,
    caller::User,
    clock::now_ms,
    http::{
        answer::{Answer, Empty, Envelope, ListEnvelope},
        docs::{IdempotencyKey, PageParams},
        error::{Error, ErrorCode},
        input::{Nothing, PageQuery, PathId, PathIds, Write},
    },
    invitation::{Blocked, Blocking, block_endpoints},
    team::{
        Team,
        roster::{fee, leave},
        table,
    },
};

impl Blocking for Team {
    const UNKNOWN: ErrorCode = ErrorCode::TeamMemberNotFound;
    const STAYS: ErrorCode = ErrorCode::TeamOwnerStays;

    fn is_part(&self, user: UserId) -> bool {
        self.is_led_by(user)
    }

    async fn expel(
        &self,
        tx: &mut Transaction<'_>,
        (user, by): (UserId, &User),
        transfer: i64,
    ) -> Result<Vec<Device>, Error> {
        if table::remove_member(tx, self.team_id, user).await? {
            fee::leave(tx, self.team_id, user, by.id, transfer, now_ms()).await?;
            return Ok(Vec::new());
        }
        let ended = leave::expel(tx, self.team_id, user).await?;
        Ok(ended.unwrap_or_default())
    }
}

block_endpoints! {
    Team, tag "team", at "/team/{id}/block/{user_id}", listed at "/team/{id}/block_list",
    refusals "`team.forbidden`" "`team.not_found`" "`team.not_found`, `team.member_not_found`"
        "`team.owner_stays`, `team.dissolved`" "`team.dissolved`";

    /// Blocks a user from a team
    ///
    /// By its owner or its assistant. A member is removed, and the rest of the fee goes back; a doctor is removed, and stays in
    /// running consults until the assistant removes them. They cannot join again, nor begin consults. A repetition gets the same
    /// answer.
    "setTeamBlock";

    /// Unblocks a user
    ///
    /// By the team's owner or its assistant. They may join again, by the way of all others. A repetition gets the same answer.
    "removeTeamBlock";

    /// Users who are blocked from a team
    ///
    /// For its owner and its assistant.
    "listTeamBlocks";
}
