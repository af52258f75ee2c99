//! One's private chats.

use axum::extract::State;

use super::{Chat, table};
use crate::{
    app::App,
    caller::User,
    http::{
        answer::{Answer, ListEnvelope, Page},
        docs::PageParams,
        error::Error,
        input::{Cursor, PageQuery},
    },
};

/// One's private chats
#[utoipa::path(
    operation_id = "listChats",
    get, path = "/chat_list", tag = "chat", params(PageParams),
    responses((status = 200, body = ListEnvelope<Chat>)),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(State(app): State<App>, user: User, page: PageQuery) -> Result<Answer, Error> {
    let total = if page.count {
        Some(table::count(&app.database, user.id).await?)
    } else {
        None
    };
    let mut items = table::list(&app.database, user.id, &page).await?;
    let next_cursor = page.cut(&mut items, |last| Cursor {
        at: last.created,
        id: last.conversation_id,
    });
    Answer::page(Page {
        items,
        next_cursor,
        total,
    })
}
