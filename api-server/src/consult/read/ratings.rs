//! The ratings of a team.

use axum::extract::State;

use crate::{
    app::App,
    caller::{Role, User},
    consult::{act::rate::Rating, table},
    http::{
        answer::{Answer, ListEnvelope},
        docs::PageParams,
        error::Error,
        input::{PageQuery, PathId},
    },
    team,
};

/// The ratings of a team, the newest first
///
/// For its doctors, its assistant and operators.
#[utoipa::path(
    operation_id = "listTeamRatings",
    get, path = "/team/{id}/rating_list", tag = "team", params(("id" = i64, Path, minimum = 1), PageParams),
    responses(
        (status = 200, body = ListEnvelope<Rating>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    page: PageQuery,
) -> Result<Answer, Error> {
    // An operator may see each team; one that does not exist has no ratings.
    if user.role != Role::Operator {
        team::check_staff(&app.database, id.get(), &user).await?;
    }
    Answer::page(table::ratings(id.get()).page(&app.database, &page).await?)
}
