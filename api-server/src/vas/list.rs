//! Lists of value-added services: one's own, of a consult, and a doctor's within a team.

use axum::extract::State;

use super::{
    record::{Record, Vas},
    table::Shown,
};
use crate::{
    app::App,
    caller::User,
    consult,
    http::{
        answer::{Answer, ListEnvelope},
        docs::PageParams,
        error::{Error, ErrorCode},
        input::{PageQuery, PathId},
    },
    team,
};

/// One's own value-added services
///
/// Those that a doctor proposed, or that were proposed to a member; hidden ones are left out.
#[utoipa::path(
    operation_id = "listMyVas",
    get, path = "/vas", tag = "vas", params(PageParams),
    responses((status = 200, body = ListEnvelope<Vas>)),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn own(State(app): State<App>, user: User, page: PageQuery) -> Result<Answer, Error> {
    list(&app, Shown::Own(user.id), &page).await
}

/// The value-added services of a consult
///
/// For every user in it.
#[utoipa::path(
    operation_id = "listConsultVas",
    get, path = "/consult/{id}/vas", tag = "vas", params(("id" = i64, Path, minimum = 1), PageParams),
    responses((status = 200, body = ListEnvelope<Vas>), (status = 404, description = "`consult.not_found`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn of_consult(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    page: PageQuery,
) -> Result<Answer, Error> {
    consult::check_seated(&app.database, id.get(), user.id).await?;
    list(&app, Shown::OfConsult(id.get()), &page).await
}

/// One's own proposals of value-added services in consults of a team
///
/// For doctors of the team; hidden ones are left out.
#[utoipa::path(
    operation_id = "listMyTeamVas",
    get, path = "/team/{id}/my_vas_list", tag = "vas", params(("id" = i64, Path, minimum = 1), PageParams),
    responses(
        (status = 200, body = ListEnvelope<Vas>),
        (status = 403, description = "`vas.team_doctors_only`"),
        (status = 404, description = "`team.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn of_team(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    page: PageQuery,
) -> Result<Answer, Error> {
    match team::has_doctor(&app.database, id.get(), user.id).await? {
        None => return Err(ErrorCode::TeamNotFound.into()),
        Some(false) => return Err(ErrorCode::VasTeamDoctorsOnly.into()),
        Some(true) => {}
    }
    list(&app, Shown::OfTeam(user.id, id.get()), &page).await
}

/// The caller's own services that they have hidden.
pub(crate) async fn hidden(State(app): State<App>, user: User, page: PageQuery) -> Result<Answer, Error> {
    list(&app, Shown::Hidden(user.id), &page).await
}

async fn list(app: &App, shown: Shown, page: &PageQuery) -> Result<Answer, Error> {
    let found = shown.list().page(&app.database, page).await?;
    Answer::page(found.map(Record::show))
}
