//! Finding teams by part of their name.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::table;
use crate::{
    account::{Role, User},
    answer::{Answer, ListEnvelope, Page},
    app::App,
    docs::PageParams,
    error::{Error, Word},
    input::{Cursor, NameQuery, PageQuery},
};

/// A team that was found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "team_id": 4, "name": "儿科", "introduction": "介绍", "owner_id": 7, "owner_name": "王医生",
    "created_ms": 1_795_000_000_000_i64
}))]
pub(crate) struct FoundTeam {
    pub(super) team_id: i64,
    pub(super) name: String,
    pub(super) introduction: String,
    pub(super) owner_id: i64,
    pub(super) owner_name: String,
    pub(super) created_ms: i64,
}

/// Teams whose name has a part
///
/// By doctors. Case, full or half width and spaces between ideographs do not count.
#[utoipa::path(
    get, path = "/team", tag = "team",
    params(("name" = String, Query, min_length = 1, max_length = 64, example = "儿"), PageParams),
    responses(
        (status = 200, body = ListEnvelope<FoundTeam>),
        (status = 403, description = "`team.doctors_only`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn search(
    State(app): State<App>,
    user: User,
    part: NameQuery,
    page: PageQuery,
) -> Result<Answer, Error> {
    if user.role != Role::Doctor {
        return Err(Word::DoctorsOnly.into());
    }
    let total = if page.count {
        Some(table::count_found(&app.database, &part.folded).await?)
    } else {
        None
    };
    let mut items = table::found(&app.database, &part.folded, &page).await?;
    let next_cursor = page.cut(&mut items, |last| Cursor {
        at: last.created_ms,
        id: last.team_id,
    });
    Answer::page(Page {
        items,
        next_cursor,
        total,
    })
}
