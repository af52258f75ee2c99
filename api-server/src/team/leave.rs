//! Leaving a team, and being removed from it.

use axum::extract::State;
use database::Transaction;
use proto::UserId;
use serde::Serialize;
use utoipa::ToSchema;

use super::table;
use crate::{
    account::{self, Device},
    app::{App, Written},
    caller::{Role, User},
    clock::now_ms,
    consult,
    http::{
        answer::{Answer, Empty, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Nothing, PathId, PathIds, Write},
    },
};

/// A doctor who has gone.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DoctorGone {
    team_id: i64,
    doctor_id: i64,
    /// Consults of the team that they are still in, until the assistant takes them out or they end.
    running_consults: i64,
}

/// Leaves a team
///
/// By a doctor other than the owner, or a member. A doctor stays in the consults that are running, until the assistant takes
/// them out; into others they are not brought any more.
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
    Write {
        body: Nothing {},
        once,
    }: Write<Nothing>,
) -> Result<Answer, Error> {
    app.write(once, move |tx| {
        Box::pin(async move {
            let mut written = Written::new(Answer::empty()?);
            if user.role == Role::Member {
                table::team_in(tx, id.get())
                    .await?
                    .ok_or(ErrorCode::TeamNotFound)?;
                if !table::remove_member(tx, id.get(), user.id).await? {
                    return Err(ErrorCode::TeamNotIn.into());
                }
            } else {
                let gone = doctor_goes(tx, id.get(), user.id).await?;
                written.logged_out = gone.ok_or(ErrorCode::TeamNotIn)?;
            }
            Ok(written)
        })
    })
    .await
}

/// Removes a doctor from a team
///
/// By its owner or its assistant. They stay in the consults that are running (the answer tells how many), until the assistant
/// takes them out of each; into others they are not brought any more. The owner stays.
#[utoipa::path(
    operation_id = "removeTeamDoctor",
    delete, path = "/team/{id}/doctor/{doctor_id}", tag = "team",
    params(("id" = i64, Path, minimum = 1), ("doctor_id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<DoctorGone>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`, `team.doctor_not_found`"),
        (status = 409, description = "`team.owner_stays`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn remove_doctor(
    State(app): State<App>,
    user: User,
    PathIds(id, doctor_id): PathIds,
    Write {
        body: Nothing {},
        once,
    }: Write<Nothing>,
) -> Result<Answer, Error> {
    app.write(once, move |tx| {
        Box::pin(async move {
            let team = table::team_in(tx, id.get())
                .await?
                .ok_or(ErrorCode::TeamNotFound)?;
            if !team.is_led_by(user.id) {
                return Err(ErrorCode::TeamForbidden.into());
            }
            let doctor = UserId::from_database(doctor_id.get());
            let gone = doctor_goes(tx, id.get(), doctor).await?;
            let logged_out =
                gone.ok_or_else(|| Error::new(ErrorCode::TeamDoctorNotFound).field("doctor_id"))?;
            let mut written = Written::new(Answer::one(&DoctorGone {
                team_id: id.get(),
                doctor_id: doctor.get(),
                running_consults: consult::running_of(tx, id.get(), doctor).await?,
            })?);
            written.logged_out = logged_out;
            Ok(written)
        })
    })
    .await
}

/// Locks a doctor's account first, as joining does, so that they are counted right whatever requests race. Returns the
/// devices on which they logged the team's assistant in, which end; none when they are not in the team.
async fn doctor_goes(
    tx: &mut Transaction<'_>,
    team: i64,
    doctor: UserId,
) -> Result<Option<Vec<Device>>, Error> {
    account::lock(tx, doctor).await?;
    let team = table::team_in(tx, team).await?.ok_or(ErrorCode::TeamNotFound)?;
    if team.owner_id == doctor.get() {
        return Err(ErrorCode::TeamOwnerStays.into());
    }
    if !table::remove_doctor(tx, team.team_id, doctor).await? {
        return Ok(None);
    }
    let assistant = UserId::from_database(team.assistant_id);
    let gone = account::remove_opened_devices(tx, assistant, doctor, now_ms()).await?;
    Ok(Some(gone))
}

/// Removes a member from a team
///
/// By its owner or its assistant. What they accepted stays on record.
#[utoipa::path(
    operation_id = "removeTeamMember",
    delete, path = "/team/{id}/member/{member_id}", tag = "team",
    params(("id" = i64, Path, minimum = 1), ("member_id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`, `team.member_not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn remove_member(
    State(app): State<App>,
    user: User,
    PathIds(id, member_id): PathIds,
    Write {
        body: Nothing {},
        once,
    }: Write<Nothing>,
) -> Result<Answer, Error> {
    app.write(once, move |tx| {
        Box::pin(async move {
            let team = table::team_in(tx, id.get())
                .await?
                .ok_or(ErrorCode::TeamNotFound)?;
            if !team.is_led_by(user.id) {
                return Err(ErrorCode::TeamForbidden.into());
            }
            let member = UserId::from_database(member_id.get());
            if !table::remove_member(tx, id.get(), member).await? {
                return Err(Error::new(ErrorCode::TeamMemberNotFound).field("member_id"));
            }
            Ok(Written::new(Answer::empty()?))
        })
    })
    .await
}
