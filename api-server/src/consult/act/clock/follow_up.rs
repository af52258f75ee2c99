//! Further questions about a finished consult: a new consult that is linked with it, free of charge.

use database::Transaction;

use super::decide::DAY_MS;
use crate::{
    caller::User,
    consult::{
        act::create::BeginConsult,
        life::Status,
        table::{self, Earlier},
    },
    http::{
        error::{Error, ErrorCode},
        input::Id,
    },
    team::Clock,
};

/// Refuses a consult that is no further question about `earlier`. Locks the row of the earlier one: of two that begin at once,
/// the first one counts.
pub(in crate::consult::act) async fn check(
    tx: &mut Transaction<'_>,
    user: &User,
    earlier: Id,
    body: &BeginConsult,
    clock: &Clock,
) -> Result<(), Error> {
    let at = |code: ErrorCode| Error::new(code).field("follow_up_of");
    table::lock_row(tx, earlier.get())
        .await
        .map_err(|error| error.field("follow_up_of"))?;
    let found = table::earlier(tx, earlier.get()).await?;
    // Of another member, it is one that does not exist.
    let found = found
        .filter(|found| found.creator == user.id)
        .ok_or_else(|| at(ErrorCode::ConsultNotFound))?;
    if found.team != body.team_id.get() || found.target != body.target_member_id.get() {
        return Err(Error::invalid(
            "follow_up_of",
            "追问须向原咨询的团队提出，且针对同一患者",
            "must be a consult with this team and about this patient",
        ));
    }
    let Earlier { status, ended_ms, .. } = found;
    if status != Status::Finished {
        return Err(at(ErrorCode::ConsultNotFinished));
    }
    let days = clock.follow_up_days.unwrap_or_default();
    // By the database's clock: a server that is ahead takes the window from nobody.
    if tx.now_ms().await? - ended_ms > days * DAY_MS || days == 0 {
        return Err(at(ErrorCode::FollowUpOver));
    }
    if table::has_open_follow_up(tx, earlier.get()).await? {
        return Err(at(ErrorCode::FollowUpOpen));
    }
    Ok(())
}
