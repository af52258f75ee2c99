//! Doctors invited into a clinic by id, and taken out.

use axum::extract::State;
use proto::UserId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{ClinicDoctor, join::goes, table};
use crate::{
    app::{App, Written},
    caller::User,
    http::{
        answer::{Answer, Empty, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Id, Nothing, PathId, PathIds, Write},
    },
    invitation::{self, Place},
};

/// A doctor to invite.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"doctor_id": 9}))]
pub(crate) struct AddClinicDoctor {
    doctor_id: Id,
}

/// Invites a doctor into a clinic by id
///
/// By its founder or a supervisor, who is recorded as the inviter. The doctor finds the invitation in GET /invitation_list and
/// accepts or declines within 30 days; until then `joined_ms` of the answer is 0 and the clinic does not list them. Again
/// gives the same answer.
#[utoipa::path(
    operation_id = "inviteClinicDoctor",
    post, path = "/clinic/{id}/doctor", tag = "clinic", request_body = AddClinicDoctor,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<ClinicDoctor>),
        (status = 403, description = "`clinic.forbidden`"),
        (status = 404, description = "`clinic.not_found`, `clinic.doctor_not_found`"),
        (status = 409, description = "`clinic.already_in`, `clinic.invitation_limit_reached`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn add(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    Write { body, once }: Write<AddClinicDoctor>,
) -> Result<Answer, Error> {
    let invitation_id = app.database.allocate_id(invitation::SEQUENCE).await?;
    app.write(once, move |tx| {
        Box::pin(async move {
            let clinic = table::take(tx, id.get()).await?;
            if !table::leads(tx, &clinic, user.id).await? {
                return Err(ErrorCode::ClinicForbidden.into());
            }
            let doctor = UserId::from_database(body.doctor_id.get());
            if table::doctor_in(tx, id.get(), doctor).await?.is_some() {
                return Err(Error::new(ErrorCode::ClinicAlreadyIn).field("doctor_id"));
            }
            let missing = || Error::new(ErrorCode::ClinicDoctorNotFound).field("doctor_id");
            let (clinic, inviter) = (clinic.clinic_id, user.id);
            if !invitation::invite_by_id(tx, Place::Clinic, clinic, inviter, doctor, invitation_id).await? {
                return Err(missing());
            }
            let invited = table::invited(tx, doctor, inviter).await?.ok_or_else(missing)?;
            Ok(Written::new(Answer::one(&invited)?))
        })
    })
    .await
}

/// Takes a doctor out of a clinic
///
/// By its founder or a supervisor, or the doctor themselves; supervisors are taken out by the founder or themselves. The
/// founder stays.
#[utoipa::path(
    operation_id = "removeClinicDoctor",
    delete, path = "/clinic/{id}/doctor/{doctor_id}", tag = "clinic",
    params(("id" = i64, Path, minimum = 1), ("doctor_id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 403, description = "`clinic.forbidden`"),
        (status = 404, description = "`clinic.not_found`, `clinic.doctor_not_found`"),
        (status = 409, description = "`clinic.founder_stays`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn remove(
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
            let clinic = table::take(tx, id.get()).await?;
            let doctor = UserId::from_database(doctor_id.get());
            let is_founder = clinic.founder_id == user.id.get();
            if doctor != user.id && !table::leads(tx, &clinic, user.id).await? {
                return Err(ErrorCode::ClinicForbidden.into());
            }
            let missing = || Error::new(ErrorCode::ClinicDoctorNotFound).field("doctor_id");
            let found = table::doctor_in(tx, id.get(), doctor)
                .await?
                .ok_or_else(missing)?;
            if clinic.founder_id == doctor.get() {
                return Err(Error::new(ErrorCode::ClinicFounderStays).field("doctor_id"));
            }
            if found.is_supervisor && !is_founder && doctor != user.id {
                return Err(ErrorCode::ClinicForbidden.into());
            }
            goes(tx, id.get(), doctor).await?;
            Ok(Written::new(Answer::empty()?))
        })
    })
    .await
}
