//! One's private chats.

use axum::extract::State;

use super::{Chat, table};
use crate::{
    app::App,
    caller::User,
    http::{
        answer::{Answer, ListEnvelope},
        docs::PageParams,
        error::Error,
        input::PageQuery,
    },
};

/// One's private chats
///
/// Without those that are hidden.
#[utoipa::path(
    operation_id = "listChats",
    get, path = "/chat_list", tag = "chat", params(PageParams),
    responses((status = 200, body = ListEnvelope<Chat>)),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(State(app): State<App>, user: User, page: PageQuery) -> Result<Answer, Error> {
    let list = table::list(user.id);
    Answer::page(list.page(&app.database, &page).await?)
}
