//! One's own teams.

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
        input::PageQuery,
    },
    team::table,
};

/// A team that the caller is in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MyTeam {
    pub(in crate::team) team_id: i64,
    pub(in crate::team) name: String,
    pub(in crate::team) introduction: String,
    pub(in crate::team) owner_id: i64,
    pub(in crate::team) owner_name: String,
    pub(in crate::team) joined_ms: i64,
    /// For a member: the version of the agreement that they accepted last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::team) agreement_version: Option<i64>,
    /// For a member: a newer version, which they accept before their next consult; absent while there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::team) new_agreement_version: Option<i64>,
}

/// One's own teams
///
/// Those that a doctor created or joined, or whose agreement a member accepted. Other users have none, and dissolved teams
/// are left out.
#[utoipa::path(
    operation_id = "listMyTeams",
    get, path = "/team/my_list", tag = "team", params(PageParams),
    responses((status = 200, body = ListEnvelope<MyTeam>)),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(State(app): State<App>, user: User, page: PageQuery) -> Result<Answer, Error> {
    let list = table::mine(user.id, user.role);
    Answer::page(list.page(&app.database, &page).await?)
}
