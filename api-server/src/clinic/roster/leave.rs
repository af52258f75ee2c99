//! Leaving a clinic, and being removed from it.

use axum::extract::State;
use database::Transaction;
use proto::UserId;

use crate::{
    app::{App, Written},
    caller::{Lead as _, User},
    clinic::{Clinic, table},
    http::{
        answer::{Answer, Empty, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Nothing, PathId, PathIds, Write},
    },
    invitation::{self, Place},
    team::{self, Leaving},
};

/// Leaves a clinic
///
/// By a doctor of it other than its founder.
#[utoipa::path(
    operation_id = "leaveClinic",
    post, path = "/clinic/{id}/leave", tag = "clinic", params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 404, description = "`clinic.not_found`"),
        (status = 409, description = "`clinic.not_in`, `clinic.founder_stays`, `clinic.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn leave(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    app.write(write.once, move |tx| {
        Box::pin(async move {
            let clinic = table::lock(tx, id.get()).await?;
            if clinic.is_founded_by(user.id) {
                return Err(ErrorCode::ClinicFounderStays.into());
            }
            if !remove_from(tx, clinic.clinic_id, user.id).await? {
                return Err(ErrorCode::ClinicNotIn.into());
            }
            Ok(Written::new(Answer::empty()?))
        })
    })
    .await
}

/// Removes a doctor from a clinic
///
/// By its founder or a supervisor, or the doctor themselves. A supervisor is removed by the founder or themselves. The founder
/// stays.
#[utoipa::path(
    operation_id = "removeClinicDoctor",
    delete, path = "/clinic/{id}/doctor/{doctor_id}", tag = "clinic",
    params(("id" = i64, Path, minimum = 1), ("doctor_id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 403, description = "`clinic.forbidden`"),
        (status = 404, description = "`clinic.not_found`, `clinic.doctor_not_found`"),
        (status = 409, description = "`clinic.founder_stays`, `clinic.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn remove(
    State(app): State<App>,
    user: User,
    PathIds(id, doctor_id): PathIds,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    app.write(write.once, move |tx| {
        Box::pin(async move {
            let doctor = UserId::from_database(doctor_id.get());
            let (clinic, leads) = Clinic::lock(tx, id.get(), &user).await?;
            if doctor != user.id && !leads {
                return Err(ErrorCode::ClinicForbidden.into());
            }
            let missing = || Error::new(ErrorCode::ClinicDoctorNotFound).field("doctor_id");
            let found = table::doctor_in(tx, id.get(), doctor)
                .await?
                .ok_or_else(missing)?;
            if clinic.is_founded_by(doctor) {
                return Err(Error::new(ErrorCode::ClinicFounderStays).field("doctor_id"));
            }
            if found.is_supervisor && !clinic.is_founded_by(user.id) && doctor != user.id {
                return Err(ErrorCode::ClinicForbidden.into());
            }
            let removed = if doctor == user.id {
                remove_from(tx, id.get(), doctor).await
            } else {
                expel(tx, id.get(), doctor).await
            };
            removed?;
            Ok(Written::new(Answer::empty()?))
        })
    })
    .await
}

/// Removes a doctor from a locked clinic, revokes the invitations they sent, and takes out the teams they own; false when they are not in.
pub(super) async fn remove_from(
    tx: &mut Transaction<'_>,
    clinic: i64,
    doctor: UserId,
) -> Result<bool, Error> {
    if !table::remove_doctor(tx, clinic, doctor).await? {
        return Ok(false);
    }
    invitation::forget_of_inviter(tx, Place::Clinic, clinic, doctor).await?;
    team::detach(tx, clinic, Leaving::OfOwner(doctor)).await?;
    Ok(true)
}

/// Removes a doctor against their will: the link that they joined by ends, too.
pub(in crate::clinic) async fn expel(
    tx: &mut Transaction<'_>,
    clinic: i64,
    doctor: UserId,
) -> Result<bool, Error> {
    let link = table::link_of(tx, clinic, doctor).await?;
    let removed = remove_from(tx, clinic, doctor).await?;
    if let (Some(link), true) = (link, removed) {
        invitation::end_link(tx, Place::Clinic, clinic, link).await?;
    }
    Ok(removed)
}
