//! Opening a private chat, or finding it.

use axum::extract::State;
use database::Transaction;
use journal::record::{CONVERSATION_SEQUENCE, NewConversation, Shown};
use proto::{
    ConversationId, UserId,
    wire::{ConversationKind, Role as WireRole},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Chat, table};
use crate::{
    account::{self, Identity},
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
    settings::DoctorVerification,
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
/// Between doctors who are in a team or a clinic together, and between a patient and a verified doctor who is or was in a
/// consult of theirs. Two users have one chat.
#[utoipa::path(
    operation_id = "openChat",
    post, path = "/chat", tag = "chat", request_body = OpenChat, params(IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Chat>),
        (status = 403, description = "`doctor.not_verified`"),
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
    let (journal, rule) = (app.journal.clone(), app.doctor_verification);
    app.write(once, move |tx| {
        Box::pin(async move {
            if let Some(chat) = table::chat(tx, &journal, user.id, other).await? {
                return Ok(Written::new(Answer::one(&chat)?));
            }
            let now_ms = now_ms();
            let their = may_chat(tx, rule, &user, other)
                .await?
                .ok_or_else(|| Error::new(ErrorCode::ChatNotFound).field("user_id"))?;
            let own = account::identity(tx, user.id)
                .await?
                .ok_or(ErrorCode::AuthRequired)?;
            if !table::put_chat(tx, [user.id, other], conversation, now_ms).await? {
                // Another request opened it first.
                let chat = table::chat(tx, &journal, user.id, other).await?;
                let chat = chat.ok_or_else(|| Error::internal("a chat has one row only"))?;
                return Ok(Written::new(Answer::one(&chat)?));
            }
            let name = their.name.clone();
            let peer = |user, identity: Identity| identity.joining(user, WireRole::Peer, Shown::All);
            let new = NewConversation {
                id: conversation,
                kind: ConversationKind::Private,
                consult_id: None,
                // Each of the two sees the other's name.
                title: String::new(),
                participants: vec![peer(user.id, own), peer(other, their)],
            };
            let unpublished = journal.create_conversation(tx, new, user.id, now_ms).await?;
            let chat = Chat {
                conversation_id: conversation.get(),
                user_id: other.get(),
                name,
                created: now_ms,
                blocked_by_me: false,
                blocked_by_other: false,
                hidden: false,
            };
            Ok(Written::new(Answer::one(&chat)?).publishing(unpublished))
        })
    })
    .await
}

/// The other user, when the two may chat.
async fn may_chat(
    tx: &mut Transaction<'_>,
    rule: DoctorVerification,
    user: &User,
    other: UserId,
) -> Result<Option<Identity>, Error> {
    let Some(person) = account::identity(tx, other).await? else {
        return Ok(None);
    };
    let may = match (user.role, person.role) {
        (Role::Doctor, Role::Doctor) => {
            team::share_a_team(tx, user.id, other).await?
                || clinic::share_a_clinic(tx, user.id, other).await?
        }
        (Role::Member, Role::Doctor) => {
            consult::shared_a_consult(tx, user.id, other).await?
                && account::lock_verified(tx, rule, other).await?
        }
        (Role::Doctor, Role::Member) => {
            let shared = consult::shared_a_consult(tx, other, user.id).await?;
            if shared {
                account::check_verified(tx, rule, user.id).await?;
            }
            shared
        }
        _ => false,
    };
    Ok(may.then_some(person))
}
