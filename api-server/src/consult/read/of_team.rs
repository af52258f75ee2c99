//! The consults of a team.

use axum::{extract::State, http::HeaderMap};

use super::list::glimpsed;
use crate::{
    app::App,
    caller::{Led, User},
    consult::{record::Consult, table},
    http::{
        answer::{Answer, ListEnvelope},
        docs::PageParams,
        error::Error,
        input::{PageQuery, PathId},
    },
    team::{self, Team},
};

/// The consults that a team has finished
///
/// For its owner and its assistant: the assistant is in all of them, and the owner can log in as the assistant.
#[utoipa::path(
    operation_id = "listTeamConsults",
    get, path = "/team/{id}/consult_list", tag = "team", params(("id" = i64, Path, minimum = 1), PageParams),
    responses(
        (status = 200, body = ListEnvelope<Consult>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn finished(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    headers: HeaderMap,
    page: PageQuery,
) -> Result<Answer, Error> {
    Led::<Team>::read(&app.database, id.get(), &user).await?;
    glimpsed(&app, &user, &headers, &page, table::finished(id.get())).await
}

/// The consults of a team that one is or was in as a doctor
///
/// For its doctors: running and ended ones. It is a record of work: consults that one has hidden (1.7) are in it, and those
/// that one handed over, or left after writing in them, stay in it as they were then (`left_ms`).
#[utoipa::path(
    operation_id = "listMyTeamConsults",
    get, path = "/team/{id}/my_consult_list", tag = "team", params(("id" = i64, Path, minimum = 1), PageParams),
    responses(
        (status = 200, body = ListEnvelope<Consult>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn mine(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    headers: HeaderMap,
    page: PageQuery,
) -> Result<Answer, Error> {
    team::check_staff(&app.database, id.get(), &user).await?;
    glimpsed(&app, &user, &headers, &page, table::served(id.get(), user.id)).await
}
