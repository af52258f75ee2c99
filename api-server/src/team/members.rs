//! The members of a team.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::table;
use crate::{
    app::App,
    caller::User,
    http::{
        answer::{Answer, ListEnvelope, Page},
        docs::PageParams,
        error::{Error, ErrorCode},
        input::{Cursor, PageQuery, PathId},
    },
};

/// A member of a team.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TeamMember {
    pub(super) member_id: i64,
    pub(super) name: String,
    /// Of an upload; null while there is none.
    #[schema(required = true)]
    pub(super) photo_id: Option<String>,
    /// The version of the agreement that they accepted last.
    pub(super) agreement_version: i64,
    pub(super) joined_ms: i64,
}

/// The members of a team
///
/// For its owner and its assistant.
#[utoipa::path(
    operation_id = "listTeamMembers",
    get, path = "/team/{id}/member_list", tag = "team", params(("id" = i64, Path, minimum = 1), PageParams),
    responses(
        (status = 200, body = ListEnvelope<TeamMember>),
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
    let team = table::team(&app.database, id.get())
        .await?
        .ok_or(ErrorCode::TeamNotFound)?;
    if !team.is_led_by(user.id) {
        return Err(ErrorCode::TeamForbidden.into());
    }
    let total = if page.count {
        Some(table::count_members(&app.database, id.get()).await?)
    } else {
        None
    };
    let mut items = table::members(&app.database, id.get(), &page).await?;
    let next_cursor = page.cut(&mut items, |last| Cursor {
        at: last.joined_ms,
        id: last.member_id,
    });
    Answer::page(Page {
        items,
        next_cursor,
        total,
    })
}
