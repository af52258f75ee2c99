//! 1.5 and 1.6: one's consults.

use axum::{extract::State, http::HeaderMap};

use crate::{
    app::App,
    caller::User,
    consult::{
        life::Shelf,
        record::{Consult, Glimpsed, Record},
        table,
    },
    http::{
        answer::{Answer, List, ListEnvelope},
        docs::PageParams,
        error::Error,
        input::{PageQuery, preferred_language},
    },
};

/// One's consults that are waiting or in process (1.5)
#[utoipa::path(
    operation_id = "listConsultsInProcess",
    get, path = "/consult/in_process_list", tag = "consult", params(PageParams),
    responses((status = 200, body = ListEnvelope<Consult>)),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn in_process(
    State(app): State<App>,
    user: User,
    headers: HeaderMap,
    page: PageQuery,
) -> Result<Answer, Error> {
    glimpsed(
        &app,
        &user,
        &headers,
        &page,
        table::list(user.id, Shelf::InProcess),
    )
    .await
}

/// One's consults that are finished or cancelled (1.6)
///
/// Without those that were hidden by 1.7, unless an entry came later.
#[utoipa::path(
    operation_id = "listConsultHistory",
    get, path = "/consult/history_list", tag = "consult", params(PageParams),
    responses((status = 200, body = ListEnvelope<Consult>)),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn history(
    State(app): State<App>,
    user: User,
    headers: HeaderMap,
    page: PageQuery,
) -> Result<Answer, Error> {
    glimpsed(&app, &user, &headers, &page, table::list(user.id, Shelf::History)).await
}

/// A page of a list, each item with what the journal says about it.
pub(super) async fn glimpsed(
    app: &App,
    user: &User,
    headers: &HeaderMap,
    page: &PageQuery,
    list: List<Record>,
) -> Result<Answer, Error> {
    let found = list.page(&app.database, page).await?;
    let mut glimpsed = Glimpsed::of(&app.journal, user.id, &found, preferred_language(headers)).await?;
    Answer::page(found.map(|record| glimpsed.item(record)))
}
