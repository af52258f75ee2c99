//! Appointing a supervisor (主管).

use axum::extract::State;
use proto::UserId;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    app::{App, Written},
    caller::{Led, User},
    clinic::{Clinic, ClinicDoctor, table},
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Id, PathId, Write},
    },
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
        (status = 404, description = "`clinic.not_found`, `clinic.doctor_not_found`")
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
