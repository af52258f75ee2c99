//! A team, by id.

use axum::extract::State;

use crate::{
    app::App,
    caller::User,
    http::{
        answer::{Answer, Envelope},
        error::{Error, ErrorCode},
        input::PathId,
    },
    team::{Team, table},
};

/// A team
///
/// For every logged-in user: patients choose by it.
#[utoipa::path(
    operation_id = "getTeam",
    get, path = "/team/{id}", tag = "team", params(("id" = i64, Path, minimum = 1)),
    responses((status = 200, body = Envelope<Team>), (status = 404, description = "`team.not_found`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn show(State(app): State<App>, _: User, PathId(id): PathId) -> Result<Answer, Error> {
    let team = table::team(&app.database, id.get())
        .await?
        .ok_or(ErrorCode::TeamNotFound)?;
    Answer::one(&team)
}
