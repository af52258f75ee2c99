//! An entry of the journal in JSON: the same fields as on the wire.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Message;
use proto::{
    mime::{self, Form},
    wire::{self, EntryKind, Role, entry::Event},
};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::{
    ToSchema,
    openapi::{Ref, RefOr, Schema},
};

use super::Status;
use crate::http::docs::one_of;

/// An entry. Of body, text comes as `text`, what the MIME registry knows as `content`, anything else as `body_base64`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EntryItem {
    conversation_id: i64,
    seq: i64,
    sender_id: i64,
    #[schema(schema_with = kinds)]
    kind: String,
    /// Epoch milliseconds.
    created_ms: i64,
    /// Of a message: the sender's own name for it.
    #[serde(skip_serializing_if = "String::is_empty")]
    client_msg_id: String,
    /// Of a message or a card (vas_*): how to read its body.
    #[serde(skip_serializing_if = "String::is_empty")]
    mime_type: String,
    /// The body of text/plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// The body of the other registered types, with the fields of its protobuf message; bytes are base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    content: Option<Value>,
    /// Any other body.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    /// The entry that this one answers.
    #[serde(skip_serializing_if = "is_zero")]
    reply_to_seq: i64,
    /// The entry that this one is about.
    #[serde(skip_serializing_if = "is_zero")]
    corrects_seq: i64,
    /// People called by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mentions: Vec<i64>,
    /// The message was taken back; what it said is withheld.
    #[serde(skip_serializing_if = "is_false")]
    recalled: bool,
    /// Of participant_joined and participant_left.
    #[serde(skip_serializing_if = "Option::is_none")]
    participant: Option<Participant>,
    /// Of status_changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Changed>,
    /// Of vas_*.
    #[serde(skip_serializing_if = "Option::is_none")]
    vas: Option<VasCard>,
    /// Of call_*.
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<Call>,
    /// Of media_ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    media: Option<Media>,
}

/// A participant who came in or went.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EntryParticipant)]
struct Participant {
    user_id: i64,
    #[schema(schema_with = roles)]
    role: String,
    name: String,
}

/// A state that a consult has reached.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EntryStatus)]
struct Changed {
    #[schema(value_type = Status)]
    status: String,
    /// Whether the conversation takes messages in this state.
    open: bool,
}

/// A value-added service at the time of the entry.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EntryVas)]
struct VasCard {
    vas_id: i64,
    name: String,
    description: String,
    price_fen: i64,
    #[schema(schema_with = vas_state)]
    state: String,
    doctor_id: i64,
}

/// A call that began or ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EntryCall)]
struct Call {
    call_id: i64,
    video: bool,
    /// Of a call that ended.
    duration_ms: i64,
    /// Of a call that ended; empty before.
    outcome: String,
}

/// An upload that can be fetched.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EntryMedia)]
struct Media {
    uri: String,
    mime_type: String,
}

/// The schema of a domain above this one.
fn vas_state() -> RefOr<Schema> {
    Ref::from_schema_name("VasState").into()
}

fn kinds() -> RefOr<Schema> {
    one_of(names(
        |number| EntryKind::try_from(number).ok().map(|kind| kind.as_str_name()),
        "ENTRY_KIND_",
    ))
}

fn roles() -> RefOr<Schema> {
    one_of(names(
        |number| Role::try_from(number).ok().map(|role| role.as_str_name()),
        "ROLE_",
    ))
}

/// The names of a wire enumeration, which counts from 1 without gaps.
fn names(name: impl Fn(i32) -> Option<&'static str>, prefix: &str) -> impl Iterator<Item = String> {
    (1..).map_while(name).map(move |name| plain(name, prefix))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(boolean: &bool) -> bool {
    !*boolean
}

impl EntryItem {
    /// Its place.
    pub(crate) fn seq(&self) -> i64 {
        self.seq
    }
}

impl EntryItem {
    /// As the sealed journal has it: what a recalled message said included, and marked as recalled.
    pub(crate) fn sealed(mut entry: journal::Entry) -> Self {
        let recalled = std::mem::take(&mut entry.recalled);
        let mut item = Self::from(entry.into_wire());
        item.recalled = recalled;
        item
    }
}

impl From<wire::Entry> for EntryItem {
    fn from(entry: wire::Entry) -> Self {
        let kind = EntryKind::try_from(entry.kind).unwrap_or_default();
        let mut item = Self {
            conversation_id: entry.conversation_id,
            seq: entry.seq,
            sender_id: entry.sender_id,
            kind: plain(kind.as_str_name(), "ENTRY_KIND_"),
            created_ms: entry.created_ms,
            client_msg_id: entry.client_msg_id,
            mime_type: entry.mime_type,
            text: None,
            content: None,
            body_base64: None,
            reply_to_seq: entry.reply_to_seq,
            corrects_seq: entry.corrects_seq,
            mentions: entry.mentions,
            recalled: entry.recalled,
            participant: None,
            status: None,
            vas: None,
            call: None,
            media: None,
        };
        if !item.mime_type.is_empty() && !entry.recalled {
            item.read_body(&entry.body);
        }
        match entry.event {
            Some(Event::Participant(event)) => {
                item.participant = Some(Participant {
                    user_id: event.user_id,
                    role: plain(
                        Role::try_from(event.role).unwrap_or_default().as_str_name(),
                        "ROLE_",
                    ),
                    name: event.name,
                });
            }
            Some(Event::Status(event)) => {
                item.status = Some(Changed {
                    status: event.status,
                    open: event.open,
                });
            }
            Some(Event::Vas(event)) => {
                item.vas = Some(VasCard {
                    vas_id: event.vas_id,
                    name: event.name,
                    description: event.description,
                    price_fen: event.price_fen,
                    state: event.state,
                    doctor_id: event.doctor_id,
                });
            }
            Some(Event::Call(event)) => {
                item.call = Some(Call {
                    call_id: event.call_id,
                    video: event.video,
                    duration_ms: event.duration_ms,
                    outcome: event.outcome,
                });
            }
            Some(Event::Media(event)) => {
                item.media = Some(Media {
                    uri: event.uri,
                    mime_type: event.mime_type,
                });
            }
            None => {}
        }
        item
    }
}

impl EntryItem {
    fn read_body(&mut self, body: &[u8]) {
        let form = mime::registered(&self.mime_type).map(|registered| registered.form);
        match form {
            Some(Form::Text) => self.text = Some(String::from_utf8_lossy(body).into_owned()),
            Some(form) => self.content = content(form, body),
            None => {}
        }
        if self.text.is_none() && self.content.is_none() {
            self.body_base64 = Some(STANDARD.encode(body));
        }
    }
}

/// A structured body; none when it is not its message.
fn content(form: Form, body: &[u8]) -> Option<Value> {
    Some(match form {
        Form::Text => return None,
        Form::Image => {
            let image = wire::Image::decode(body).ok()?;
            json!({
                "uri": image.uri, "width": image.width, "height": image.height, "bytes": image.bytes,
                "thumbnail": STANDARD.encode(&image.thumbnail),
            })
        }
        Form::Audio => {
            let audio = wire::Audio::decode(body).ok()?;
            json!({"uri": audio.uri, "duration_ms": audio.duration_ms, "bytes": audio.bytes})
        }
        Form::Video => {
            let video = wire::Video::decode(body).ok()?;
            json!({"uri": video.uri, "duration_ms": video.duration_ms, "cover": video.cover})
        }
        Form::File => {
            let file = wire::File::decode(body).ok()?;
            json!({
                "uri": file.uri, "name": file.name, "bytes": file.bytes, "sha256": STANDARD.encode(&file.sha256),
            })
        }
        Form::Location => {
            let location = wire::Location::decode(body).ok()?;
            json!({
                "latitude": location.latitude, "longitude": location.longitude, "name": location.name,
                "address": location.address,
            })
        }
        Form::Vas => {
            let card = wire::VasCard::decode(body).ok()?;
            json!({
                "vas_id": card.vas_id, "name": card.name, "description": card.description,
                "price_fen": card.price_fen,
            })
        }
        Form::Advice => {
            let card = wire::AdviceCard::decode(body).ok()?;
            json!({"title": card.title, "text": card.text, "images": card.images})
        }
        Form::Consult => {
            let card = wire::ConsultCard::decode(body).ok()?;
            json!({"consultation_id": card.consultation_id, "title": card.title})
        }
        Form::Call => {
            let card = wire::CallCard::decode(body).ok()?;
            json!({
                "call_id": card.call_id, "video": card.video, "duration_ms": card.duration_ms,
                "outcome": card.outcome,
            })
        }
        Form::Notice => {
            let notice = wire::Notice::decode(body).ok()?;
            json!({"title": notice.title, "text": notice.text})
        }
    })
}

/// A name of a wire enumeration without its prefix, in small letters.
fn plain(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_ascii_lowercase()
}
