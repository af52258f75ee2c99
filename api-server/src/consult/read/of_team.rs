//! The consults of a team.

use axum::extract::State;

use crate::{
    app::App,
    caller::User,
    consult::{
        record::{Consult, Known},
        table,
    },
    http::{
        answer::{Answer, ListEnvelope, Page},
        docs::PageParams,
        error::Error,
        input::{Cursor, PageQuery, PathId},
    },
    team,
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
    page: PageQuery,
) -> Result<Answer, Error> {
    team::led(&app.database, id.get(), user.id).await?;
    let total = if page.count {
        Some(table::count_finished(&app.database, id.get()).await?)
    } else {
        None
    };
    answer(
        table::finished(&app.database, id.get(), &page).await?,
        &page,
        total,
    )
}

/// The consults of a team that one is in as a doctor
///
/// For its doctors: running and ended ones. It is a record of work: consults that one has hidden (1.7) are in it, and those
/// that one was removed from are not.
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
    page: PageQuery,
) -> Result<Answer, Error> {
    team::of_staff(&app.database, id.get(), user.id).await?;
    let total = if page.count {
        Some(table::count_seated(&app.database, id.get(), user.id).await?)
    } else {
        None
    };
    let found = table::served(&app.database, id.get(), user.id, &page).await?;
    answer(found, &page, total)
}

fn answer(mut found: Vec<Known>, page: &PageQuery, total: Option<i64>) -> Result<Answer, Error> {
    let next_cursor = page.cut(&mut found, |last| {
        let (at, id) = last.place();
        Cursor { at, id }
    });
    Answer::page(Page {
        items: found.into_iter().map(Known::into_item).collect::<Vec<Consult>>(),
        next_cursor,
        total,
    })
}
