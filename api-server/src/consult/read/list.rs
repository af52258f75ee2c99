//! 1.5 and 1.6: one's consults.

use axum::extract::State;

use crate::{
    app::App,
    caller::User,
    consult::{
        life::Shelf,
        record::{Consult, Record},
        table,
    },
    http::{
        answer::{Answer, ListEnvelope},
        docs::PageParams,
        error::Error,
        input::PageQuery,
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
    let found = table::list(user.id, shelf).page(&app.database, page).await?;
    Answer::page(found.map(Record::into_item))
}
