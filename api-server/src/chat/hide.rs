//! Hiding a private chat from one's own lists, on each device. Nothing is deleted.

use axum::extract::State;
use database::Transaction;
use journal::Journal;
use proto::ConversationId;

use super::{Chat, table};
use crate::{
    app::{App, Written},
    caller::User,
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Nothing, PathId, Write},
    },
};

/// Hides a private chat from one's own lists
///
/// On each device, until an entry comes; its entries stay. The other side sees nothing of it. A repetition gets the same
/// answer.
#[utoipa::path(
    operation_id = "hideChat",
    post, path = "/chat/{id}/hide", tag = "chat",
    params(("id" = i64, Path, minimum = 1, description = "Its conversation"), IdempotencyKey),
    responses((status = 200, body = Envelope<Chat>), (status = 404, description = "`chat.not_found`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn hide(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    set(app, user, id.get(), write, true).await
}

/// Puts a hidden private chat back on one's own lists
///
/// On each device. A repetition gets the same answer.
#[utoipa::path(
    operation_id = "removeChatHiding",
    delete, path = "/chat/{id}/hide", tag = "chat",
    params(("id" = i64, Path, minimum = 1, description = "Its conversation"), IdempotencyKey),
    responses((status = 200, body = Envelope<Chat>), (status = 404, description = "`chat.not_found`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn unhide(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    set(app, user, id.get(), write, false).await
}

async fn set(app: App, user: User, id: i64, write: Write<Nothing>, hides: bool) -> Result<Answer, Error> {
    let (journal, id) = (app.journal.clone(), ConversationId::from_database(id));
    app.write(write.once, move |tx| {
        Box::pin(async move {
            own(tx, &journal, id, &user).await?;
            let unpublished = match hides {
                true => journal.hide(tx, user.id, &[id]).await?,
                false => journal.unhide(tx, user.id, &[id]).await?,
            };
            Ok(Written::new(Answer::one(&own(tx, &journal, id, &user).await?)?).publishing(unpublished))
        })
    })
    .await
}

async fn own(
    tx: &mut Transaction<'_>,
    journal: &Journal,
    id: ConversationId,
    user: &User,
) -> Result<Chat, Error> {
    let chat = table::chat_of(tx, journal, id, user.id).await?;
    Ok(chat.ok_or(ErrorCode::ChatGone)?)
}
