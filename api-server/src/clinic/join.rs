//! Joining a clinic by invitation, and leaving it.

use axum::extract::State;
use database::Transaction;
use proto::UserId;

use super::{Clinic, table};
use crate::{
    app::{App, Written},
    caller::{Role, User},
    clock::now_ms,
    http::{
        answer::{Answer, Empty, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Nothing, PathId, Write},
    },
    invitation::{self, JoinByLink, Place},
};

/// Joins a clinic by the link of an invitation
///
/// By a doctor.
#[utoipa::path(
    operation_id = "joinClinic",
    post, path = "/clinic/join", tag = "clinic", request_body = JoinByLink, params(IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Clinic>),
        (status = 403, description = "`clinic.invitation_refused`, `clinic.doctors_only`"),
        (status = 404, description = "`clinic.not_found`"),
        (status = 409, description = "`clinic.already_in`, `clinic.invitation_expired`, `clinic.invitation_used_up`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn join_clinic(
    State(app): State<App>,
    user: User,
    Write { body, once }: Write<JoinByLink>,
) -> Result<Answer, Error> {
    if user.role != Role::Doctor {
        return Err(ErrorCode::ClinicDoctorsOnly.into());
    }
    let invited = app.links.read(Place::Clinic, &body.invitation)?;
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            invited.check_open(now_ms)?;
            let clinic = table::take(tx, invited.place_id).await?;
            let inviter = UserId::from_database(invited.inviter_id);
            table::add_doctor(tx, clinic.clinic_id, user.id, inviter, "invitation", now_ms).await?;
            invitation::consume_link(tx, &invited, now_ms).await?;
            Ok(Written::new(Answer::one(&clinic)?))
        })
    })
    .await
}

/// Puts a doctor into a clinic who has accepted an invitation in person.
pub(crate) async fn join(
    tx: &mut Transaction<'_>,
    clinic: i64,
    doctor: UserId,
    inviter: UserId,
    now_ms: i64,
) -> Result<(), Error> {
    table::take(tx, clinic).await?;
    table::add_doctor(tx, clinic, doctor, inviter, "id", now_ms).await
}

/// Leaves a clinic
///
/// By a doctor of it other than its founder.
#[utoipa::path(
    operation_id = "leaveClinic",
    post, path = "/clinic/{id}/leave", tag = "clinic", params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 404, description = "`clinic.not_found`"),
        (status = 409, description = "`clinic.not_in`, `clinic.founder_stays`")
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
            let clinic = table::take(tx, id.get()).await?;
            if clinic.founder_id == user.id.get() {
                return Err(ErrorCode::ClinicFounderStays.into());
            }
            if !goes(tx, clinic.clinic_id, user.id).await? {
                return Err(ErrorCode::ClinicNotIn.into());
            }
            Ok(Written::new(Answer::empty()?))
        })
    })
    .await
}

/// Takes a doctor out of a clinic whose row is locked, and withdraws their invitations; false when they are not in.
pub(super) async fn goes(tx: &mut Transaction<'_>, clinic: i64, doctor: UserId) -> Result<bool, Error> {
    if !table::remove_doctor(tx, clinic, doctor).await? {
        return Ok(false);
    }
    invitation::forget_of_inviter(tx, Place::Clinic, clinic, doctor).await?;
    Ok(true)
}
