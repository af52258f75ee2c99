//! Opening a private chat, or finding it.

use axum::extract::State;
use database::Transaction;
use journal::record::{CONVERSATION_SEQUENCE, NewConversation, NewParticipant};
use proto::{
    ConversationId, UserId,
    wire::{ConversationKind, Role as WireRole},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Chat, table};
use crate::{
    account,
    app::{App, Written},
    caller::{Role, User},
    clinic,
    clock::now_ms,
    consult,
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Id, Write},
    },
    team,
};

/// The other user.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"user_id": 9}))]
pub(crate) struct OpenChat {
    user_id: Id,
}

/// Opens a private chat, or finds it
///
/// Between doctors who are in a team or a clinic together, and between a patient and a doctor who is or was in a consult of
/// theirs. Two users have one chat.
#[utoipa::path(
    operation_id = "openChat",
    post, path = "/chat", tag = "chat", request_body = OpenChat, params(IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Chat>),
        (status = 404, description = "`chat.person_not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn open(
    State(app): State<App>,
    user: User,
    Write { body, once }: Write<OpenChat>,
) -> Result<Answer, Error> {
    let other = UserId::from_database(body.user_id.get());
    if other == user.id {
        return Err(Error::invalid(
            "user_id",
            "应为其他用户的 id",
            "must be the id of another user",
        ));
    }
    let conversation = ConversationId::from_database(app.database.allocate_id(CONVERSATION_SEQUENCE).await?);
    let journal = app.journal.clone();
    app.write(once, move |tx| {
        Box::pin(async move {
            if let Some(chat) = table::chat(tx, user.id, other).await? {
                return Ok(Written::new(Answer::one(&chat)?));
            }
            let now_ms = now_ms();
            let name = may_chat(tx, &user, other)
                .await?
                .ok_or_else(|| Error::new(ErrorCode::ChatNotFound).field("user_id"))?;
            let own = account::identity(tx, user.id)
                .await?
                .ok_or(ErrorCode::AuthRequired)?;
            if !table::put_chat(tx, [user.id, other], conversation, now_ms).await? {
                // Another request opened it first.
                let chat = table::chat(tx, user.id, other).await?;
                let chat = chat.ok_or_else(|| Error::internal("a chat has one row only"))?;
                return Ok(Written::new(Answer::one(&chat)?));
            }
            let peer = |user, name| NewParticipant {
                user,
                role: WireRole::Peer,
                name,
            };
            let new = NewConversation {
                id: conversation,
                kind: ConversationKind::Private,
                consult_id: None,
                // Each of the two sees the other's name.
                title: String::new(),
                participants: vec![peer(user.id, own.name), peer(other, name.clone())],
            };
            let unpublished = journal.create_conversation(tx, new, user.id, now_ms).await?;
            let chat = Chat {
                conversation_id: conversation.get(),
                user_id: other.get(),
                name,
                created: now_ms,
            };
            Ok(Written::new(Answer::one(&chat)?).publishing(unpublished))
        })
    })
    .await
}

/// The other user's name, when the two may chat.
async fn may_chat(tx: &mut Transaction<'_>, user: &User, other: UserId) -> Result<Option<String>, Error> {
    let Some(person) = account::identity(tx, other).await? else {
        return Ok(None);
    };
    let may = match (user.role, person.role) {
        (Role::Doctor, Role::Doctor) => {
            team::share_a_team(tx, user.id, other).await?
                || clinic::share_a_clinic(tx, user.id, other).await?
        }
        (Role::Member, Role::Doctor) => consult::shared_a_consult(tx, user.id, other).await?,
        (Role::Doctor, Role::Member) => consult::shared_a_consult(tx, other, user.id).await?,
        _ => false,
    };
    Ok(may.then_some(person.name))
}
