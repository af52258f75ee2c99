//! Cancelling a consult.

use axum::extract::State;

use super::super::{Asked, act};
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

/// Cancels a consult
///
/// By its patient or the team's assistant; by the patient only until a doctor came in, where the team's clock says so. Its
/// conversations become read-only, and open proposals of value-added services are
/// retracted.
#[utoipa::path(
    operation_id = "cancelConsult",
    post, path = "/consult/{id}/cancel", tag = "consult",
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = ConsultEnvelope),
        (status = 403, description = "`consult.forbidden`"),
        (status = 404, description = "`consult.not_found`"),
        (status = 409, description = "`consult.ended`, `consult.accepted`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn cancel(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    act(&app, user, id, write.once, Asked::Cancel, None).await
}
