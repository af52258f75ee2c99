//! Wire messages in JSON, as REST, the terminal chat and `huizhen frame decode` show them: each field by its name on the
//! wire, an enumerated value by its name without the enumeration's in lower case, bytes in base64.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use prost::Message;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::{
    mime::{self, Form},
    wire::{self, ByeReason, CallSignalKind, ConversationKind, EntryKind, ErrorCode, Role},
};

/// An entry of a journal. A field that says nothing is absent.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// Its conversation.
    pub conversation_id: i64,
    /// Its place there.
    pub seq: i64,
    /// The user who wrote or caused it.
    pub sender_id: i64,
    /// Its kind.
    pub kind: Name,
    /// When it was accepted, epoch milliseconds.
    pub created_ms: i64,
    /// The sender's own name for it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_msg_id: String,
    /// How to read its body.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mime_type: String,
    /// Its body; a recalled message has none.
    #[serde(flatten)]
    pub body: Option<Body>,
    /// The entry that it answers.
    #[serde(skip_serializing_if = "is_zero")]
    pub reply_to_seq: i64,
    /// The entry that it is about.
    #[serde(skip_serializing_if = "is_zero")]
    pub corrects_seq: i64,
    /// Participants whom it mentions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<i64>,
    /// The message was recalled.
    #[serde(skip_serializing_if = "is_false")]
    pub recalled: bool,
    /// The subject of an event: `participant`, `status`, `vas`, `call`, `media`, `refund` or
    /// `deadline`.
    #[serde(flatten)]
    pub event: Option<wire::entry::Event>,
}

impl Entry {
    /// The entry but for its body, for a reader that shows bodies in a way of its own.
    pub fn without_body(entry: wire::Entry) -> Self {
        Self {
            conversation_id: entry.conversation_id,
            seq: entry.seq,
            sender_id: entry.sender_id,
            kind: Name::of::<EntryKind>(entry.kind),
            created_ms: entry.created_ms,
            client_msg_id: entry.client_msg_id,
            mime_type: entry.mime_type,
            body: None,
            reply_to_seq: entry.reply_to_seq,
            corrects_seq: entry.corrects_seq,
            mentions: entry.mentions,
            recalled: entry.recalled,
            event: entry.event,
        }
    }
}

impl From<wire::Entry> for Entry {
    fn from(entry: wire::Entry) -> Self {
        let has_body = !entry.mime_type.is_empty() && !entry.recalled;
        let body = has_body.then(|| Body::read(&entry.mime_type, &entry.body));
        Self {
            body,
            ..Self::without_body(entry)
        }
    }
}

/// A body.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// Of text/plain.
    Text(String),
    /// Of another registered type: the fields of its message.
    Content(Value),
    /// Of a type that is not registered, or bytes that are not its message.
    BodyBase64(String),
}

impl Body {
    /// Reads a body by its MIME type.
    pub fn read(mime_type: &str, body: &[u8]) -> Self {
        let content = match mime::registered(mime_type).map(|registered| registered.form) {
            Some(Form::Text) => return Self::Text(String::from_utf8_lossy(body).into_owned()),
            Some(Form::Image) => content::<wire::Image>(body),
            Some(Form::Audio) => content::<wire::Audio>(body),
            Some(Form::Video) => content::<wire::Video>(body),
            Some(Form::File) => content::<wire::File>(body),
            Some(Form::Location) => content::<wire::Location>(body),
            Some(Form::Vas) => content::<wire::VasCard>(body),
            Some(Form::Advice) => content::<wire::AdviceCard>(body),
            Some(Form::Consult) => content::<wire::ConsultCard>(body),
            Some(Form::Call) => content::<wire::CallCard>(body),
            Some(Form::Notice) => content::<wire::Notice>(body),
            None => None,
        };
        content.map_or_else(|| Self::BodyBase64(STANDARD.encode(body)), Self::Content)
    }
}

fn content<M: Message + Default + Serialize>(body: &[u8]) -> Option<Value> {
    let message = M::decode(body).ok()?;
    serde_json::to_value(message).ok()
}

/// An enumerated value: its name, or its number when that is newer than this program.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Name {
    /// As in `participant_joined`.
    Known(String),
    /// A number without a name here.
    Newer(i32),
}

impl Name {
    /// The name of a value of an enumeration.
    pub fn of<E: Enumeration>(number: i32) -> Self {
        E::try_from(number).map_or(Self::Newer(number), |value| Self::Known(value.name()))
    }
}

/// An enumeration of the wire.
pub trait Enumeration: TryFrom<i32> + Default {
    /// The name in the .proto file, as in `ENTRY_KIND_MESSAGE`.
    fn proto_name(&self) -> &'static str;

    /// The name in JSON, as in `message`.
    fn name(&self) -> String {
        // By the convention of protobuf the default is ENUMERATION_UNSPECIFIED.
        let prefix = Self::default().proto_name().trim_end_matches("UNSPECIFIED");
        let name = self.proto_name();
        name.strip_prefix(prefix).unwrap_or(name).to_ascii_lowercase()
    }

    /// All names but that of the default, where numbers have no gap.
    fn names() -> impl Iterator<Item = String> {
        (1..).map_while(|number| Self::try_from(number).ok().map(|value| value.name()))
    }
}

macro_rules! enumerations {
    ($($name:ty),* $(,)?) => {
        $(impl Enumeration for $name {
            fn proto_name(&self) -> &'static str {
                self.as_str_name()
            }
        })*
    };
}

enumerations!(
    ByeReason,
    CallSignalKind,
    ConversationKind,
    EntryKind,
    ErrorCode,
    Role
);

pub(crate) fn name<E: Enumeration, S: Serializer>(number: &i32, serializer: S) -> Result<S::Ok, S::Error> {
    Name::of::<E>(*number).serialize(serializer)
}

pub(crate) fn base64<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

pub(crate) fn is_zero(number: &i64) -> bool {
    *number == 0
}

pub(crate) fn is_zero_u32(number: &u32) -> bool {
    *number == 0
}

fn is_false(boolean: &bool) -> bool {
    !*boolean
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn json_of(entry: wire::Entry) -> Value {
        serde_json::to_value(Entry::from(entry)).unwrap_or_default()
    }

    #[test]
    fn an_event_is_an_object_under_its_name_and_empty_fields_are_absent() {
        let joined = wire::Entry {
            conversation_id: 4,
            seq: 2,
            sender_id: 7,
            kind: EntryKind::ParticipantJoined.into(),
            created_ms: 9,
            event: Some(wire::entry::Event::Participant(wire::ParticipantEvent {
                user_id: 8,
                role: Role::Doctor.into(),
                name: "李医生".into(),
                ..wire::ParticipantEvent::default()
            })),
            ..wire::Entry::default()
        };
        let expected = json!({
            "conversation_id": 4, "seq": 2, "sender_id": 7, "kind": "participant_joined", "created_ms": 9,
            "participant": {"user_id": 8, "role": "doctor", "name": "李医生"},
        });
        assert_eq!(json_of(joined), expected);
    }

    #[test]
    fn a_body_is_text_content_or_base64() {
        let image = wire::Image {
            uri: "media/1".into(),
            width: 3,
            thumbnail: Bytes::from_static(&[0xff, 0xd8]),
            ..wire::Image::default()
        };
        let content = json!({"uri": "media/1", "width": 3, "height": 0, "bytes": 0, "thumbnail": "/9g="});
        for (mime_type, body, name, expected) in [
            ("text/plain", "你好".as_bytes().to_vec(), "text", json!("你好")),
            ("image/png", image.encode_to_vec(), "content", content),
            ("image/png", vec![0xff], "body_base64", json!("/w==")),
            ("model/stl", vec![1], "body_base64", json!("AQ==")),
        ] {
            let entry = wire::Entry {
                mime_type: mime_type.into(),
                body: body.into(),
                ..wire::Entry::default()
            };
            assert_eq!(json_of(entry.clone())[name], expected, "{mime_type}");
            let recalled = wire::Entry {
                recalled: true,
                ..entry
            };
            assert_eq!(json_of(recalled)[name], Value::Null, "{mime_type}");
        }
    }

    #[test]
    fn each_enumeration_has_names() {
        assert_eq!(
            Role::names().collect::<Vec<_>>(),
            ["patient", "doctor", "assistant", "peer"]
        );
        assert_eq!(
            Name::of::<ByeReason>(ByeReason::AuthFailed as i32),
            Name::Known("auth_failed".into())
        );
        assert_eq!(
            Name::of::<CallSignalKind>(CallSignalKind::HangUp as i32),
            Name::Known("hang_up".into())
        );
        assert_eq!(Name::of::<EntryKind>(999), Name::Newer(999));
    }
}
