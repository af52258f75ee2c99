//! A doctor hands their seat in a consult to another doctor of the team.

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

/// The doctor who takes over.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"doctor_id": 9}))]
pub(crate) struct HandOver {
    doctor_id: Id,
    #[serde(default)]
    history: History,
}

/// Hands a consult over to another doctor of the team
///
/// By a doctor in the consult. The other doctor joins the consult and the staff room and the caller leaves, in one step: the
/// consult is never without a doctor. The other doctor sees both from the first entry, unless `history` says otherwise. The
/// caller sees it as it was then and keeps it in their lists and numbers; their open proposals of value-added services are
/// retracted.
#[utoipa::path(
    operation_id = "handOverConsult",
    post, path = "/consult/{id}/handover", tag = "consult", request_body = HandOver,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = ConsultEnvelope),
        (status = 403, description = "`consult.forbidden`"),
        (status = 404, description = "`consult.not_found`, `consult.doctor_not_found`"),
        (status = 409, description = "`consult.ended`, `consult.already_in`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn hand_over(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    Write { body, once }: Write<HandOver>,
) -> Result<Answer, Error> {
    let successor = UserId::from_database(body.doctor_id.get());
    let asked = Asked::HandOver(successor, body.history.into());
    act(&app, user, id, once, asked, None).await
}
