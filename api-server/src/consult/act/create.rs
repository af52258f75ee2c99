//! 1.3: opening a consult.

use axum::extract::State;
use journal::record::{CONVERSATION_SEQUENCE, Event, NewConversation, NewParticipant, Shown};
use prost::Message;
use proto::{
    ConversationId, UserId, mime,
    wire::{ConsultCard, ConsultSubject, ConversationKind, Role as WireRole},
};
use serde::{Deserialize, Deserializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ArrayBuilder, RefOr, Schema},
};

use super::{
    charge,
    clock::{self, follow_up},
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
        input::{Ascii, BirthDate, Fen, Id, Text, Uri, Write, broken, check_uri},
    },
    media::{Media, Named, Record},
    profile::{self, Gender, Profile},
    team,
};

/// The relation of a patient who writes for themselves.
const SELF: &str = "self";
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
    pub(super) creator_member_id: Id,
    /// The patient: the caller, or one of their family.
    pub(super) target_member_id: Id,
    pub(super) team_id: Id,
    /// The price that the app has shown, fen. Another present one is refused; by default any price is accepted.
    #[schema(required = false)]
    price_fen: Option<Fen>,
    /// Text of at most 4000 characters, or the uri of media of this service (media/ID), of at most 2048 bytes.
    #[schema(value_type = Text<1, 4000>)]
    symptom_content: String,
    /// A finished consult of the caller with this team about the same patient: this one asks further questions about it, free
    /// of charge, within the team's `follow_up_days`.
    #[schema(required = false)]
    follow_up_of: Option<Id>,
    /// The MIME type of symptom_content, one that every user may send on the wire.
    #[schema(schema_with = symptom_type)]
    symptom_type: Ascii<1, 127>,
    /// Uris of media of this service (media/ID); at most 9.
    #[serde(default)]
    images: Images,
}

/// Opens a consult (1.3)
///
/// By a member. At first only the patient and the team's assistant are in it; the assistant adds doctors. Where the platform
/// charges, the team's price is paid now, from the rest of the membership fee first, then from the wallet, and held until the
/// end; such a request needs an Idempotency-Key.
#[utoipa::path(
    operation_id = "createConsult",
    post, path = "/consult", tag = "consult", request_body = BeginConsult, params(IdempotencyKey),
    responses(
        (status = 200, body = ConsultEnvelope),
        (status = 400, description = "`idempotency.key_required`"),
        (status = 402, description = "`wallet.insufficient`"),
        (status = 403, description = "`consult.members_only`, `consult.not_creator`, `consult.target_refuses`, `consult.membership_required`, `consult.agreement_changed`, `team.blocked`"),
        (status = 404, description = "`team.not_found`, `consult.target_not_found`, `consult.not_found`"),
        (status = 409, description = "`team.price_changed`, `team.closed`, `team.dissolved`, `consult.open_limit_reached`, `consult.not_finished`, `consult.follow_up_over`, `consult.follow_up_open`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn create(
    State(app): State<App>,
    user: Caller,
    Write { mut body, once }: Write<BeginConsult>,
) -> Result<Answer, Error> {
    let images = check(&app, &mut body, &user)?;
    let named = named(&body, &images);
    let id = ConversationId::from_database(app.database.allocate_id(CONVERSATION_SEQUENCE).await?);
    let staff_room = ConversationId::from_database(app.database.allocate_id(CONVERSATION_SEQUENCE).await?);
    let (journal, charges, media) = (app.journal.clone(), app.charges, app.part::<Media>().clone());
    let transfer = app.database.allocate_id(ledger::SEQUENCE).await?;
    let keyed = once.demand_key();
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            let team = team::team_of_consult(tx, body.team_id.get(), user.id)
                .await?
                .ok_or_else(|| Error::new(ErrorCode::TeamNotFound).field("team_id"))?;
            team.check_opening().map_err(|error| error.field("team_id"))?;
            let clock = team::clock_of(tx, body.team_id.get()).await?;
            // Two that begin at once are counted one after the other.
            account::lock(tx, user.id).await?;
            if table::open_of(tx, user.id, body.team_id.get()).await? >= team.max_open_consults {
                return Err(Error::open_consults(team.max_open_consults));
            }
            let price_fen = match body.follow_up_of {
                Some(earlier) => {
                    follow_up::check(tx, &user, earlier, &body, &clock).await?;
                    0
                }
                None => team.consult_price_fen,
            };
            if body.price_fen.is_some_and(|shown| shown.get() != price_fen) {
                return Err(Error::new(ErrorCode::PriceChanged).field("price_fen"));
            }
            let target = UserId::from_database(body.target_member_id.get());
            let mut relation = SELF;
            if target != user.id {
                let relative = family::lock_relative(tx, user.id, target).await?;
                let unknown = || Error::new(ErrorCode::TargetNotFound).field("target_member_id");
                relation = relative.ok_or_else(unknown)?.as_str();
            }
            if target != user.id && table::refuses(tx, target, user.id).await? {
                return Err(Error::new(ErrorCode::TargetRefuses).field("target_member_id"));
            }
            let patient = account::identity(tx, user.id)
                .await?
                .ok_or(ErrorCode::AuthRequired)?;
            let (target_name, profile) = profile::named_in(tx, target).await?.unwrap_or_default();
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
                follow_up_of: body.follow_up_of.map(Id::get),
                creator_name: patient.name.clone(),
                target_name,
                team_name: team.name.clone(),
                assistant_name: team.assistant_name.clone(),
                relation,
            };
            table::new_consult(tx, &new, now_ms).await?;
            media
                .use_in_record(tx, user.id, &named, Record::Consult, id.get(), now_ms)
                .await?;
            if charges && price_fen > 0 {
                keyed?;
                let price = ledger::Fen::new(price_fen)
                    .ok_or_else(|| Error::internal("team.consult_price_fen is no amount"))?;
                charge::hold(tx, &new, price, transfer, now_ms).await?;
            }
            let assistant = NewParticipant::new(team.assistant, WireRole::Assistant, team.assistant_name);
            let complaint = complaint(&new, &profile, &images, now_ms);
            let main = NewConversation {
                id,
                kind: ConversationKind::Consult,
                consult_id: Some(id.get()),
                title: team.name.clone(),
                participants: vec![
                    // protocol: "The patient of a consult and both sides of a private chat see it from entry 1"
                    patient.joining(user.id, WireRole::Patient, Shown::All),
                    assistant.clone(),
                ],
            };
            let mut unpublished = journal.create_conversation(tx, main, user.id, now_ms).await?;
            unpublished.extend(journal.record(tx, id, user.id, complaint, now_ms).await?);
            unpublished.extend(clock::open(tx, &journal, id, user.id, &clock).await?);
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

// protocol: "The first message of a consult is its card"
/// The first message of a consult: whom it is about, and why.
fn complaint(new: &NewConsult, profile: &Profile, images: &[String], now_ms: i64) -> Event {
    let born = profile.birth_date.as_deref();
    let born = born.and_then(|date| BirthDate::parse(date, now_ms));
    let card = ConsultCard {
        consultation_id: new.id.get(),
        title: new.team_name.clone(),
        subject: Some(ConsultSubject {
            user_id: new.target.get(),
            name: new.target_name.clone(),
            relation: new.relation.to_owned(),
            age_years: born.map_or(0, |born| born.age_years(now_ms)),
            gender: profile.gender.map_or("", Gender::as_str).to_owned(),
        }),
        symptom_type: new.symptom_type.clone(),
        symptom_content: new.symptom_content.clone(),
        images: images.to_vec(),
        follow_up_of: new.follow_up_of.unwrap_or_default(),
    };
    Event::Message {
        mime_type: mime::CONSULT,
        body: card.encode_to_vec().into(),
    }
}

/// The types that every user may send.
fn symptom_type() -> RefOr<Schema> {
    let registered = mime::REGISTRY.into_iter();
    let everybody = registered.filter(|registered| registered.senders == mime::Senders::Everybody);
    one_of(everybody.map(|registered| registered.mime_type))
}

/// The media of a complaint.
fn named(body: &BeginConsult, images: &[String]) -> Vec<Named<'static>> {
    let mut named: Vec<Named<'static>> = images.iter().map(|uri| Named::image(uri, "images")).collect();
    if &*body.symptom_type != "text/plain" {
        let (uri, mime_type) = (&body.symptom_content, &body.symptom_type);
        named.push(Named::of_type(uri, mime_type, "symptom_content"));
    }
    named
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
