//! Dissolving a clinic.

use axum::extract::State;

use crate::{
    app::{App, Written},
    caller::User,
    clinic::{Clinic, table},
    clock::now_ms,
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Nothing, PathId, Write},
    },
    invitation::{self, Place},
};

/// Dissolves a clinic
///
/// By its founder, once no team belongs to it. It cannot be undone, and its name stays taken.
#[utoipa::path(
    operation_id = "dissolveClinic",
    post, path = "/clinic/{id}/dissolve", tag = "clinic", params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Clinic>),
        (status = 403, description = "`clinic.forbidden`"),
        (status = 404, description = "`clinic.not_found`"),
        (status = 409, description = "`clinic.has_teams`, `clinic.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn dissolve(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    app.write(write.once, move |tx| {
        Box::pin(async move {
            let clinic = table::lock_any(tx, id.get()).await?;
            if !clinic.is_founded_by(user.id) {
                return Err(ErrorCode::ClinicForbidden.into());
            }
            if clinic.dissolved_ms.is_some() {
                return Err(ErrorCode::ClinicDissolved.into());
            }
            if !table::teams_of(tx, id.get()).await?.is_empty() {
                return Err(ErrorCode::ClinicHasTeams.into());
            }
            let dissolved = table::dissolve(tx, clinic, now_ms()).await?;
            invitation::forget_offer(tx, Place::Clinic, id.get()).await?;
            Ok(Written::new(Answer::one(&dissolved)?))
        })
    })
    .await
}
