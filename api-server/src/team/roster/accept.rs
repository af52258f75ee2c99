//! A member accepts a newer version of the agreement.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::{App, Written},
    caller::User,
    clock::now_ms,
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Nothing, PathIds, Write},
    },
    team::table,
};

/// An agreement that a member has accepted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Acceptance {
    team_id: i64,
    version: i64,
}

/// Accepts the current version of a team's agreement
///
/// By a member of the team: after a change they accept it before their next consult. A repetition gets the same answer.
#[utoipa::path(
    operation_id = "acceptTeamAgreement",
    post, path = "/team/{id}/agreement/{version}/accept", tag = "team",
    params(("id" = i64, Path, minimum = 1), ("version" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Acceptance>),
        (status = 404, description = "`team.not_found`"),
        (status = 409, description = "`team.not_in`, `team.agreement_changed`, `team.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn accept(
    State(app): State<App>,
    user: User,
    PathIds(id, version): PathIds,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    app.write(write.once, move |tx| {
        Box::pin(async move {
            let (now_ms, version) = (now_ms(), version.get());
            let team = table::lock(tx, id.get()).await?;
            if !table::is_member(tx, id.get(), user.id).await? {
                return Err(ErrorCode::TeamNotIn.into());
            }
            if team.agreement_version != version {
                return Err(Error::new(ErrorCode::AgreementChanged).field("version"));
            }
            table::put_member(tx, id.get(), user.id, version, now_ms).await?;
            table::put_acceptance(tx, id.get(), user.id, version, now_ms).await?;
            let accepted = Acceptance {
                team_id: id.get(),
                version,
            };
            Ok(Written::new(Answer::one(&accepted)?))
        })
    })
    .await
}
