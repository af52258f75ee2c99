//! Removing a doctor from a consult.

use axum::extract::State;
use proto::UserId;

use super::super::{Asked, act};
use crate::{
    app::App,
    caller::User,
    consult::record::ConsultEnvelope,
    http::{
        answer::Answer,
        docs::IdempotencyKey,
        error::Error,
        input::{Nothing, PathIds, Write},
    },
};

/// Removes a doctor from a consult
///
/// By the team's assistant, or the doctor themselves. From then on the doctor sees the consult as it was then, and their open
/// proposals of value-added services are retracted. A doctor who wrote or proposed something keeps it in their lists and
/// numbers.
#[utoipa::path(
    operation_id = "removeConsultDoctor",
    delete, path = "/consult/{id}/doctor/{doctor_id}", tag = "consult",
    params(("id" = i64, Path, minimum = 1), ("doctor_id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = ConsultEnvelope),
        (status = 403, description = "`consult.forbidden`"),
        (status = 404, description = "`consult.not_found`, `consult.doctor_not_found`"),
        (status = 409, description = "`consult.ended`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn remove_doctor(
    State(app): State<App>,
    user: User,
    PathIds(id, doctor_id): PathIds,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    let doctor = UserId::from_database(doctor_id.get());
    act(&app, user, id, write.once, Asked::Remove(doctor), None).await
}
