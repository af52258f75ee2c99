//! Leaving a team, and the removal of doctors.

use axum::extract::State;
use database::Transaction;
use proto::UserId;

use super::fee;
use crate::{
    account::{self, Device},
    app::{App, Written},
    caller::{Led, Role, User},
    clock::now_ms,
    http::{
        answer::{Answer, Empty, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Nothing, PathId, Write},
    },
    invitation::{self, Place},
    team::{Team, table},
};

/// Leaves a team
///
/// By a doctor other than the owner, or a member. The rest of a member's fee goes back to their wallet. A doctor stays in running consults until the assistant removes them, and can
/// no longer be added to others.
#[utoipa::path(
    operation_id = "leaveTeam",
    post, path = "/team/{id}/leave", tag = "team", params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 404, description = "`team.not_found`"),
        (status = 409, description = "`team.not_in`, `team.owner_stays`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn leave(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    let transfer = app.database.allocate_id(ledger::SEQUENCE).await?;
    app.write(write.once, move |tx| {
        Box::pin(async move {
            let mut written = Written::new(Answer::empty()?);
            if user.role == Role::Member {
                // Joining locks it, too: each membership pays once. A dissolved team keeps no fee.
                table::lock_any(tx, id.get()).await?;
                if !table::remove_member(tx, id.get(), user.id).await? {
                    return Err(ErrorCode::TeamNotIn.into());
                }
                fee::leave(tx, id.get(), user.id, user.id, transfer, now_ms()).await?;
            } else {
                let ended = remove(tx, id.get(), user.id).await?;
                written.logged_out = ended.ok_or(ErrorCode::TeamNotIn)?;
            }
            Ok(written)
        })
    })
    .await
}

/// Removes a doctor from a team, for a user who leads it. Returns the devices on which the doctor had logged the team's
/// assistant in: they end.
pub(crate) async fn remove_doctor(
    tx: &mut Transaction<'_>,
    team: i64,
    user: &User,
    doctor: UserId,
) -> Result<Vec<Device>, Error> {
    Led::<Team>::lock(tx, team, user).await?;
    let ended = expel(tx, team, doctor).await?;
    ended.ok_or_else(|| Error::new(ErrorCode::TeamDoctorNotFound).field("doctor_id"))
}

/// Removes a doctor against their will: the link that they joined by ends, too.
pub(in crate::team) async fn expel(
    tx: &mut Transaction<'_>,
    team: i64,
    doctor: UserId,
) -> Result<Option<Vec<Device>>, Error> {
    let link = table::link_of(tx, team, doctor).await?;
    let ended = remove(tx, team, doctor).await?;
    if let (Some(link), Some(_)) = (link, &ended) {
        invitation::end_link(tx, Place::Team, team, link).await?;
    }
    Ok(ended)
}

/// Locks the team, whose owner must not become this doctor meanwhile, and then the doctor's account, as joining does: racing
/// requests count their teams one after the other. None when the doctor is not in the team.
async fn remove(tx: &mut Transaction<'_>, team: i64, doctor: UserId) -> Result<Option<Vec<Device>>, Error> {
    let team = table::lock_any(tx, team).await?;
    account::lock(tx, doctor).await?;
    if team.owner_id == doctor.get() {
        return Err(ErrorCode::TeamOwnerStays.into());
    }
    if !table::remove_doctor(tx, team.team_id, doctor).await? {
        return Ok(None);
    }
    let assistant = UserId::from_database(team.assistant_id);
    let ended = account::remove_opened_devices(tx, assistant, doctor).await?;
    Ok(Some(ended))
}
