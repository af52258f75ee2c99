//! Finding teams by part of their name.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    caller::User,
    http::{
        answer::{Answer, ListEnvelope},
        docs::PageParams,
        error::Error,
        input::{Name, NameQuery, PageQuery},
    },
    team::table,
};

/// A team of the result.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FoundTeam {
    pub(in crate::team) team_id: i64,
    pub(in crate::team) name: String,
    pub(in crate::team) introduction: String,
    pub(in crate::team) owner_id: i64,
    pub(in crate::team) owner_name: String,
    pub(in crate::team) created_ms: i64,
}

/// Teams whose names contain a part
///
/// For every logged-in user: patients find a team by it. Closed teams are not found. Case, full or half width and spaces
/// between ideographs are ignored.
#[utoipa::path(
    operation_id = "searchTeams",
    get, path = "/team", tag = "team",
    params(("name" = inline(Name), Query, example = "儿"), PageParams),
    responses((status = 200, body = ListEnvelope<FoundTeam>)),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn search(
    State(app): State<App>,
    _: User,
    part: NameQuery,
    page: PageQuery,
) -> Result<Answer, Error> {
    let list = table::found(&part.folded);
    Answer::page(list.page(&app.database, &page).await?)
}
