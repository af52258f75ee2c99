//! Finishing a consult.

use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    super::{Asked, act},
    advice::Advice,
};
use crate::{
    app::App,
    caller::User,
    consult::record::ConsultEnvelope,
    http::{
        answer::Answer,
        docs::IdempotencyKey,
        error::Error,
        input::{PathId, Write},
    },
};

/// The end of a consult; the body is optional.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({}))]
pub(crate) struct Finish {
    /// By a doctor in it: the last message before the end.
    advice: Option<Advice>,
}

/// Finishes a consult
///
/// By the team's assistant or a doctor in the consult, once a doctor was added. Its conversations become read-only, and open
/// proposals of value-added services are retracted.
#[utoipa::path(
    operation_id = "finishConsult",
    post, path = "/consult/{id}/finish", tag = "consult", request_body = Finish,
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
    Write { body, once }: Write<Finish>,
) -> Result<Answer, Error> {
    let advice = body.advice.map(Advice::card).transpose();
    let advice = advice.map_err(|error| error.field("advice.follow_up_date"))?;
    act(&app, user, id, once, Asked::Finish, advice).await
}
