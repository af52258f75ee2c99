//! Finishing a consult.

use axum::extract::State;

use super::{Asked, act};
use crate::{
    app::App,
    caller::User,
    consult::record::ConsultEnvelope,
    http::{
        answer::Answer,
        docs::IdempotencyKey,
        error::Error,
        input::{Nothing, PathId, Write},
    },
};

/// Finishes a consult
///
/// By the team's assistant or a doctor in the consult, once a doctor was added. Its conversations become read-only, and open
/// proposals of value-added services are retracted.
#[utoipa::path(
    operation_id = "finishConsult",
    post, path = "/consult/{id}/finish", tag = "consult",
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = ConsultEnvelope),
        (status = 403, description = "`consult.forbidden`"),
        (status = 404, description = "`consult.not_found`"),
        (status = 409, description = "`consult.ended`, `consult.waiting`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn finish(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    act(&app, user, id, write.once, Asked::Finish).await
}
