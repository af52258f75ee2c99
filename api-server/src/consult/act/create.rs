//! 1.3: opening a consult.

use axum::extract::State;
use journal::record::{CONVERSATION_SEQUENCE, NewConversation, NewParticipant};
use proto::{
    ConversationId, UserId, mime,
    wire::{ConversationKind, Role as WireRole},
};
use serde::{Deserialize, Deserializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ArrayBuilder, RefOr, Schema},
};

use crate::{
    account,
    app::{App, Written},
    clock::now_ms,
    consult::{
        Caller,
        life::Seat,
        record::ConsultEnvelope,
        table::{self, NewConsult},
    },
    family,
    http::{
        answer::Answer,
        docs::{IdempotencyKey, one_of},
        error::{Error, ErrorCode},
        input::{Ascii, Id, Text, Uri, Write, broken, check_uri},
    },
    team,
};

/// Images of a consult, at most.
const MAX_IMAGES: usize = 9;

/// A new consult (1.3).
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({
    "creator_member_id": 12, "target_member_id": 12, "team_id": 4, "symptom_content": "头痛三天",
    "symptom_type": "text/plain", "images": ["media/1"]
}))]
pub(crate) struct BeginConsult {
    /// The caller.
    creator_member_id: Id,
    /// The patient: the caller, or one of their family.
    target_member_id: Id,
    team_id: Id,
    /// Text of at most 4000 characters, or the uri of media of this service (media/ID), of at most 2048 bytes.
    #[schema(value_type = Text<1, 4000>)]
    symptom_content: String,
    /// The MIME type of symptom_content, one that every user may send on the wire.
    #[schema(schema_with = symptom_type)]
    symptom_type: Ascii<1, 127>,
    /// Uris of media of this service (media/ID); at most 9.
    #[serde(default)]
    images: Images,
}

/// Opens a consult (1.3)
///
/// By a member. At first only the patient and the team's assistant are in it; the assistant adds doctors.
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
    user: Caller,
    Write { mut body, once }: Write<BeginConsult>,
) -> Result<Answer, Error> {
    let images = check(&app, &mut body, &user)?;
    let id = ConversationId::from_database(app.database.allocate_id(CONVERSATION_SEQUENCE).await?);
    let staff_room = ConversationId::from_database(app.database.allocate_id(CONVERSATION_SEQUENCE).await?);
    let journal = app.journal.clone();
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            let team = team::team_of_consult(tx, body.team_id.get())
                .await?
                .ok_or_else(|| Error::new(ErrorCode::TeamNotFound).field("team_id"))?;
            let target = UserId::from_database(body.target_member_id.get());
            if target != user.id && !family::lock_relative(tx, user.id, target).await? {
                return Err(Error::new(ErrorCode::TargetNotFound).field("target_member_id"));
            }
            let patient = account::identity(tx, user.id)
                .await?
                .ok_or(ErrorCode::AuthRequired)?;
            let new = NewConsult {
                id,
                staff_room,
                creator: user.id,
                target,
                team_id: body.team_id.get(),
                assistant: team.assistant,
                symptom_type: body.symptom_type.into_string(),
                symptom_content: body.symptom_content,
                images: serde_json::to_string(&images).map_err(Error::internal)?,
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

/// The types that every user may send.
fn symptom_type() -> RefOr<Schema> {
    let registered = mime::REGISTRY.into_iter();
    let everybody = registered.filter(|registered| registered.senders == mime::Senders::Everybody);
    one_of(everybody.map(|registered| registered.mime_type))
}

/// Checks the body without the database and returns the uris of the images.
fn check(app: &App, body: &mut BeginConsult, user: &Caller) -> Result<Vec<String>, Error> {
    let everybody = mime::registered(&body.symptom_type)
        .is_some_and(|registered| registered.senders == mime::Senders::Everybody);
    if !everybody {
        return Err(Error::invalid(
            "symptom_type",
            "应为 IM 消息支持的 MIME 类型，如 text/plain、audio/aac、image/jpeg",
            "must be a MIME type of IM messages that every user may send, such as text/plain, audio/aac or image/jpeg",
        ));
    }
    let field = "symptom_content";
    if &*body.symptom_type == "text/plain" {
        body.symptom_content = Text::<1, 4000>::new(&body.symptom_content)
            .map_err(|(zh, en)| Error::invalid(field, zh, en))?
            .into_string();
    } else {
        check_uri(&body.symptom_content, &app.media_hosts, field)?;
    }
    let images = std::mem::take(&mut body.images.0).into_iter();
    let images = images
        .map(|uri| uri.checked(&app.media_hosts, "images"))
        .collect::<Result<Vec<String>, Error>>()?;
    if body.creator_member_id.get() != user.id.get() {
        return Err(Error::new(ErrorCode::NotCreator).field("creator_member_id"));
    }
    Ok(images)
}

/// Uris of images.
#[derive(Default)]
struct Images(Vec<Uri>);

impl<'de> Deserialize<'de> for Images {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let uris = Vec::<Uri>::deserialize(deserializer)?;
        if uris.len() <= MAX_IMAGES {
            return Ok(Self(uris));
        }
        Err(broken(
            format_args!("最多 {MAX_IMAGES} 张图片"),
            format_args!("must be at most {MAX_IMAGES} images"),
        ))
    }
}

impl PartialSchema for Images {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new()
            .items(Uri::schema())
            .max_items(Some(MAX_IMAGES))
            .into()
    }
}

impl ToSchema for Images {}
