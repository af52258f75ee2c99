//! Versions of 会员加入协议: each new text is a new version, and old ones stay readable.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    caller::User,
    http::{
        answer::{Answer, Envelope},
        error::{Error, ErrorCode},
        input::PathIds,
    },
    team::table,
};

/// A version of a team's agreement.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Agreement {
    pub(in crate::team) team_id: i64,
    pub(in crate::team) version: i64,
    pub(in crate::team) agreement: String,
    /// When it became the current one.
    pub(in crate::team) created_ms: i64,
}

/// A version of a team's agreement
///
/// For every logged-in user. The team shows the current one, too.
#[utoipa::path(
    operation_id = "getTeamAgreement",
    get, path = "/team/{id}/agreement/{version}", tag = "team",
    params(("id" = i64, Path, minimum = 1), ("version" = i64, Path, minimum = 1)),
    responses(
        (status = 200, body = Envelope<Agreement>),
        (status = 404, description = "`team.agreement_not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn show(
    State(app): State<App>,
    _: User,
    PathIds(id, version): PathIds,
) -> Result<Answer, Error> {
    let agreement = table::agreement(&app.database, id.get(), version.get()).await?;
    Answer::one(&agreement.ok_or(ErrorCode::AgreementNotFound)?)
}
