//! 1.3: beginning a consult.

use axum::extract::State;
use journal::record::{CONVERSATION_SEQUENCE, NewConversation, NewParticipant};
use proto::{
    ConversationId, UserId, mime,
    wire::{ConversationKind, Role as WireRole},
};
use serde::{Deserialize, Deserializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ArrayBuilder, ObjectBuilder, RefOr, Schema, schema::Type},
};

use super::{
    life::Seat,
    record::ConsultEnvelope,
    table::{self, NewConsult},
};
use crate::{
    account::{self, Role, User},
    answer::Answer,
    app::{App, Written},
    clock::now_ms,
    docs::{IdempotencyKey, one_of},
    error::{Error, Word},
    family,
    input::{Id, Text, Write, broken},
    team,
};

/// The most images of a consult.
const MAX_IMAGES: usize = 9;
/// The longest uri, bytes; as on the wire.
const MAX_URI_BYTES: usize = 2048;

/// A consult to be begun (1.3).
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({
    "creator_member_id": 12, "target_member_id": 12, "team_id": 4, "symptom_content": "头痛三天",
    "symptom_type": "text/plain", "images": ["media/1"]
}))]
pub(crate) struct BeginConsult {
    /// The caller.
    creator_member_id: Id,
    /// Whom it is for: the caller, or one of their family.
    target_member_id: Id,
    team_id: Id,
    /// Text of at most 4000 characters, or the uri of an upload of at most 2048 bytes.
    symptom_content: Text<1, 4000>,
    #[schema(schema_with = symptom_type)]
    symptom_type: Text<1, 127>,
    #[serde(default)]
    images: Images,
}

/// Begins a consult (1.3)
///
/// By a member. In it at first are only the patient and the team's assistant, who brings doctors in.
#[utoipa::path(
    operation_id = "createConsult",
    post, path = "/consult", tag = "consult", request_body = BeginConsult, params(IdempotencyKey),
    responses(
        (status = 200, body = ConsultEnvelope),
        (status = 403, description = "`consult.members_only`, `consult.not_creator`"),
        (status = 404, description = "`team.not_found`, `consult.target_not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn create(
    State(app): State<App>,
    user: User,
    Write { body, once }: Write<BeginConsult>,
) -> Result<Answer, Error> {
    check(&body, &user)?;
    let id = ConversationId::from_database(app.database.allocate_id(CONVERSATION_SEQUENCE).await?);
    let staff_room = ConversationId::from_database(app.database.allocate_id(CONVERSATION_SEQUENCE).await?);
    let journal = app.journal.clone();
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            let team = team::team_of_consult(tx, body.team_id.get())
                .await?
                .ok_or_else(|| Error::new(Word::TeamNotFound).field("team_id"))?;
            let target = UserId::from_database(body.target_member_id.get());
            if target != user.id && !family::take_relative(tx, user.id, target).await? {
                return Err(Error::new(Word::TargetNotFound).field("target_member_id"));
            }
            let patient = account::person(tx, user.id).await?.ok_or(Word::AuthRequired)?;
            let new = NewConsult {
                id,
                staff_room,
                creator: user.id,
                target,
                team_id: body.team_id.get(),
                assistant: team.assistant,
                symptom_type: body.symptom_type.into_string(),
                symptom_content: body.symptom_content.into_string(),
                images: serde_json::to_string(&body.images.0).map_err(Error::internal)?,
            };
            table::new_consult(tx, new, now_ms).await?;
            let assistant = NewParticipant {
                user: team.assistant,
                role: WireRole::Assistant,
                name: team.assistant_name,
            };
            let main = NewConversation {
                id,
                kind: ConversationKind::Consult,
                consult_id: Some(id.get()),
                title: team.name.clone(),
                participants: vec![
                    NewParticipant {
                        user: user.id,
                        role: WireRole::Patient,
                        name: patient.name,
                    },
                    assistant.clone(),
                ],
            };
            let mut unpublished = journal.create_conversation(tx, main, user.id, now_ms).await?;
            let staff = NewConversation {
                id: staff_room,
                kind: ConversationKind::StaffRoom,
                consult_id: Some(id.get()),
                title: team.name,
                participants: vec![assistant],
            };
            unpublished.extend(
                journal
                    .create_conversation(tx, staff, team.assistant, now_ms)
                    .await?,
            );
            let (consult, _) = table::consult_in(tx, id.get(), user.id).await?;
            Ok(Written::new(consult.answer(Seat::Patient)?).publishing(unpublished))
        })
    })
    .await
}

/// The types that everybody may send.
fn symptom_type() -> RefOr<Schema> {
    let registered = mime::REGISTRY.into_iter();
    let everybody = registered.filter(|registered| registered.senders == mime::Senders::Everybody);
    one_of(everybody.map(|registered| registered.mime_type))
}

/// What does not need the database.
fn check(body: &BeginConsult, user: &User) -> Result<(), Error> {
    let everybody = mime::registered(&body.symptom_type)
        .is_some_and(|registered| registered.senders == mime::Senders::Everybody);
    if !everybody {
        return Err(Error::invalid(
            "symptom_type",
            "应为 IM 消息支持的 MIME 类型，如 text/plain、audio/aac、image/jpeg",
            "it must be a MIME type of IM messages that everybody may send, such as text/plain, audio/aac, image/jpeg",
        ));
    }
    if &*body.symptom_type != "text/plain" && !is_uri(&body.symptom_content) {
        return Err(Error::invalid(
            "symptom_content",
            format!("symptom_type 不是 text/plain 时应为 uri：1 到 {MAX_URI_BYTES} 字节，不含空白和控制字符"),
            format!(
                "unless symptom_type is text/plain it must be a uri of 1 to {MAX_URI_BYTES} bytes, without spaces or control characters"
            ),
        ));
    }
    if user.role != Role::Member {
        return Err(Word::MembersOnly.into());
    }
    if body.creator_member_id.get() != user.id.get() {
        return Err(Error::new(Word::NotCreator).field("creator_member_id"));
    }
    Ok(())
}

fn is_uri(text: &str) -> bool {
    (1..=MAX_URI_BYTES).contains(&text.len()) && !text.contains(|c: char| c.is_control() || c.is_whitespace())
}

/// Uris of images.
#[derive(Default)]
struct Images(Vec<String>);

impl<'de> Deserialize<'de> for Images {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let uris = Vec::<String>::deserialize(deserializer)?;
        if uris.len() > MAX_IMAGES {
            return Err(broken(
                format_args!("最多 {MAX_IMAGES} 张图片"),
                format_args!("at most {MAX_IMAGES} images"),
            ));
        }
        if uris.iter().all(|uri| is_uri(uri)) {
            Ok(Self(uris))
        } else {
            Err(broken(
                format_args!("每项应为 1 到 {MAX_URI_BYTES} 字节的 uri，不含空白和控制字符"),
                format_args!(
                    "each must be a uri of 1 to {MAX_URI_BYTES} bytes, without spaces or control characters"
                ),
            ))
        }
    }
}

impl PartialSchema for Images {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new()
            .items(
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .min_length(Some(1))
                    .max_length(Some(MAX_URI_BYTES))
                    .pattern(Some("^\\S+$")),
            )
            .max_items(Some(MAX_IMAGES))
            .into()
    }
}

impl ToSchema for Images {}
