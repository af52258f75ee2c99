//! Appointing a supervisor (主管), and demoting one.

use axum::extract::State;
use proto::UserId;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    app::{App, Written},
    caller::{Led, User},
    clinic::{Clinic, ClinicDoctor, table},
    http::{
        answer::{Answer, Empty, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Id, Nothing, PathId, PathIds, Write},
    },
    invitation::{self, Place},
};

/// An appointment of a supervisor.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"doctor_id": 9}))]
pub(crate) struct Appoint {
    /// A doctor of the clinic.
    doctor_id: Id,
    /// A doctor of the clinic; the founder when absent.
    inviter_id: Option<Id>,
}

/// Makes a doctor of a clinic its supervisor
///
/// By its founder or a supervisor. Without `inviter_id` the founder is recorded as the inviter. A clinic has any number of
/// supervisors; a repeated appointment records its inviter.
#[utoipa::path(
    operation_id = "appointClinicSupervisor",
    put, path = "/clinic/{id}/supervisor", tag = "clinic", request_body = Appoint,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<ClinicDoctor>),
        (status = 403, description = "`clinic.forbidden`"),
        (status = 404, description = "`clinic.not_found`, `clinic.doctor_not_found`"),
        (status = 409, description = "`clinic.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn appoint(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    Write { body, once }: Write<Appoint>,
) -> Result<Answer, Error> {
    app.write(once, move |tx| {
        Box::pin(async move {
            let clinic = Led::<Clinic>::lock(tx, id.get(), &user).await?;
            let missing = |field| Error::new(ErrorCode::ClinicDoctorNotFound).field(field);
            let inviter = match body.inviter_id {
                None => clinic.founder_id,
                Some(inviter) => {
                    let inviter = UserId::from_database(inviter.get());
                    let found = table::doctor_in(tx, id.get(), inviter).await?;
                    found.ok_or_else(|| missing("inviter_id"))?.doctor_id
                }
            };
            let doctor = UserId::from_database(body.doctor_id.get());
            if !table::appoint(tx, id.get(), doctor, inviter).await? {
                return Err(missing("doctor_id"));
            }
            let appointed = table::doctor_in(tx, id.get(), doctor).await?;
            Ok(Written::new(Answer::one(
                &appointed.ok_or_else(|| missing("doctor_id"))?,
            )?))
        })
    })
    .await
}

/// Demotes a supervisor
///
/// By the clinic's founder, or the supervisor themselves. They stay as a doctor; their open invitations end.
#[utoipa::path(
    operation_id = "removeClinicSupervisor",
    delete, path = "/clinic/{id}/supervisor/{doctor_id}", tag = "clinic",
    params(("id" = i64, Path, minimum = 1), ("doctor_id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 403, description = "`clinic.forbidden`"),
        (status = 404, description = "`clinic.not_found`, `clinic.doctor_not_found`"),
        (status = 409, description = "`clinic.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn demote(
    State(app): State<App>,
    user: User,
    PathIds(id, doctor_id): PathIds,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    app.write(write.once, move |tx| {
        Box::pin(async move {
            let doctor = UserId::from_database(doctor_id.get());
            let clinic = table::lock(tx, id.get()).await?;
            if doctor != user.id && !clinic.is_founded_by(user.id) {
                return Err(ErrorCode::ClinicForbidden.into());
            }
            if !table::demote(tx, id.get(), doctor).await? {
                return Err(Error::new(ErrorCode::ClinicDoctorNotFound).field("doctor_id"));
            }
            // A founder who was a supervisor, too, still leads.
            if !clinic.is_founded_by(doctor) {
                invitation::forget_of_inviter(tx, Place::Clinic, id.get(), doctor).await?;
            }
            Ok(Written::new(Answer::empty()?))
        })
    })
    .await
}
