//! The doctors of a team.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    caller::User,
    http::{
        answer::{Answer, ListEnvelope},
        docs::PageParams,
        error::{Error, ErrorCode},
        input::{PageQuery, PathId},
    },
    team::table,
};

/// A doctor of a team.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TeamDoctor {
    pub(in crate::team) doctor_id: i64,
    pub(in crate::team) name: String,
    /// Of an upload; null while there is none.
    #[schema(required = true)]
    pub(in crate::team) photo_id: Option<String>,
    pub(in crate::team) title: String,
    pub(in crate::team) department: String,
    /// The inviter; null of the owner, and of doctors whom an earlier release added.
    #[schema(required = true)]
    pub(in crate::team) inviter_id: Option<i64>,
    pub(in crate::team) joined_ms: i64,
    /// 个人擅长.
    pub(in crate::team) expertise: String,
    /// Since when the platform has verified the doctor, epoch milliseconds; absent of others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::team) verified_since: Option<i64>,
}

/// The doctors of a team
///
/// For every logged-in user.
#[utoipa::path(
    operation_id = "listTeamDoctors",
    get, path = "/team/{id}/doctor_list", tag = "team", params(("id" = i64, Path, minimum = 1), PageParams),
    responses((status = 200, body = ListEnvelope<TeamDoctor>), (status = 404, description = "`team.not_found`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(
    State(app): State<App>,
    _: User,
    PathId(id): PathId,
    page: PageQuery,
) -> Result<Answer, Error> {
    table::team(&app.database, id.get())
        .await?
        .ok_or(ErrorCode::TeamNotFound)?;
    let list = table::doctors(id.get());
    Answer::page(list.page(&app.database, &page).await?)
}
