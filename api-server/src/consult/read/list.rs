//! 1.5 and 1.6: one's consults.

use axum::extract::State;

use crate::{
    app::App,
    caller::User,
    consult::{
        record::Consult,
        table::{self, Shelf},
    },
    http::{
        answer::{Answer, ListEnvelope, Page},
        docs::PageParams,
        error::Error,
        input::{Cursor, PageQuery},
    },
};

/// One's consults that are waiting or in process (1.5)
#[utoipa::path(
    operation_id = "listConsultsInProcess",
    get, path = "/consult/in_process_list", tag = "consult", params(PageParams),
    responses((status = 200, body = ListEnvelope<Consult>)),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn in_process(State(app): State<App>, user: User, page: PageQuery) -> Result<Answer, Error> {
    list(&app, &user, Shelf::InProcess, &page).await
}

/// One's consults that are finished or cancelled (1.6)
///
/// Without those that were hidden by 1.7.
#[utoipa::path(
    operation_id = "listConsultHistory",
    get, path = "/consult/history_list", tag = "consult", params(PageParams),
    responses((status = 200, body = ListEnvelope<Consult>)),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn history(State(app): State<App>, user: User, page: PageQuery) -> Result<Answer, Error> {
    list(&app, &user, Shelf::History, &page).await
}

async fn list(app: &App, user: &User, shelf: Shelf, page: &PageQuery) -> Result<Answer, Error> {
    let total = if page.count {
        Some(table::count(&app.database, user.id, shelf).await?)
    } else {
        None
    };
    let mut found = table::list(&app.database, user.id, shelf, page).await?;
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
