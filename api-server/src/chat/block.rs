//! Blocking a private chat, by either side.

use axum::extract::State;
use database::Transaction;
use journal::{Journal, record::Event};
use proto::{ConversationId, UserId, wire::StatusEvent};

use super::{Chat, table};
use crate::{
    app::{App, Written},
    caller::User,
    clock::now_ms,
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Nothing, PathId, Write},
    },
};

/// Blocks a private chat
///
/// Neither of the two may write in it from now on; both still read it. An entry tells of it. A repetition gets the same
/// answer.
#[utoipa::path(
    operation_id = "blockChat",
    post, path = "/chat/{id}/block", tag = "chat",
    params(("id" = i64, Path, minimum = 1, description = "Its conversation"), IdempotencyKey),
    responses((status = 200, body = Envelope<Chat>), (status = 404, description = "`chat.not_found`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn block(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    set(app, user, id.get(), write, true).await
}

/// Takes the own block of a private chat back
///
/// The two may write again, unless the other one blocks it, too.
#[utoipa::path(
    operation_id = "removeChatBlock",
    delete, path = "/chat/{id}/block", tag = "chat",
    params(("id" = i64, Path, minimum = 1, description = "Its conversation"), IdempotencyKey),
    responses((status = 200, body = Envelope<Chat>), (status = 404, description = "`chat.not_found`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn unblock(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    set(app, user, id.get(), write, false).await
}

async fn set(
    app: App,
    user: User,
    id: i64,
    write: Write<Nothing>,
    is_blocked: bool,
) -> Result<Answer, Error> {
    let journal = app.journal.clone();
    app.write(write.once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            let conversation = ConversationId::from_database(id);
            let (before, after) = turn(
                tx,
                &journal,
                (conversation, user.id),
                is_blocked.then_some(now_ms),
            )
            .await?;
            let written = Written::new(Answer::one(&after)?);
            if before.is_blocked() == after.is_blocked() {
                return Ok(written);
            }
            let status = if after.is_blocked() {
                "blocked"
            } else {
                "unblocked"
            };
            let event = Event::Status(StatusEvent {
                status: status.to_owned(),
                open: !after.is_blocked(),
                ..StatusEvent::default()
            });
            let recorded = journal.record(tx, conversation, user.id, event, now_ms).await?;
            Ok(written.publishing(recorded))
        })
    })
    .await
}

/// The chat before and after; both rows are locked, so that the two sides are decided one after the other.
async fn turn(
    tx: &mut Transaction<'_>,
    journal: &Journal,
    (conversation, user): (ConversationId, UserId),
    blocked_ms: Option<i64>,
) -> Result<(Chat, Chat), Error> {
    table::lock(tx, conversation).await?;
    let before = table::chat_of(tx, journal, conversation, user).await?;
    let before = before.ok_or(ErrorCode::ChatGone)?;
    table::set_blocked(tx, conversation, user, blocked_ms).await?;
    let after = table::chat_of(tx, journal, conversation, user).await?;
    Ok((before, after.ok_or(ErrorCode::ChatGone)?))
}
