//! Adding a doctor to a consult.

use axum::extract::State;
use proto::UserId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::super::{Asked, History, act};
use crate::{
    app::App,
    caller::User,
    consult::record::ConsultEnvelope,
    http::{
        answer::Answer,
        docs::IdempotencyKey,
        error::Error,
        input::{Id, PathId, Write},
    },
};

/// A doctor to add.
#[derive(Deserialize, ToSchema)]
#[schema(as = BringIn, example = json!({"doctor_id": 9}))]
pub(crate) struct AddDoctor {
    doctor_id: Id,
    #[serde(default)]
    history: History,
}

/// Adds a doctor of the team to a consult
///
/// By the team's assistant. The first doctor moves the consult from waiting to in_process. The doctor joins the consult's
/// conversation and the staff room, and sees both from the first entry, unless `history` says otherwise.
#[utoipa::path(
    operation_id = "addConsultDoctor",
    post, path = "/consult/{id}/doctor", tag = "consult", request_body = AddDoctor,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = ConsultEnvelope),
        (status = 403, description = "`consult.forbidden`"),
        (status = 404, description = "`consult.not_found`, `consult.doctor_not_found`"),
        (status = 409, description = "`consult.ended`, `consult.already_in`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn add_doctor(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    Write { body, once }: Write<AddDoctor>,
) -> Result<Answer, Error> {
    let doctor = UserId::from_database(body.doctor_id.get());
    let asked = Asked::Add(doctor, body.history.into());
    act(&app, user, id, once, asked, None).await
}
