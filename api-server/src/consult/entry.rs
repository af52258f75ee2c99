//! An entry of the journal as REST shows it: `proto::json`'s, with its documentation.

use std::borrow::Cow;

use proto::{
    json::{self, Enumeration},
    wire::{self, EntryKind, Role},
};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{Object, Ref, RefOr, Schema},
};

use super::Status;
use crate::http::docs::one_of;

/// An entry.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct EntryItem(json::Entry);

impl EntryItem {
    /// Its place.
    pub(crate) fn seq(&self) -> i64 {
        self.0.seq
    }

    /// As the sealed journal has it: the body of a recalled message included, and marked as recalled.
    pub(crate) fn sealed(mut entry: journal::Entry) -> Self {
        let recalled = std::mem::take(&mut entry.recalled);
        let mut item = json::Entry::from(entry.into_wire());
        item.recalled = recalled;
        Self(item)
    }
}

impl From<wire::Entry> for EntryItem {
    fn from(entry: wire::Entry) -> Self {
        Self(entry.into())
    }
}

impl PartialSchema for EntryItem {
    fn schema() -> RefOr<Schema> {
        Fields::schema()
    }
}

impl ToSchema for EntryItem {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("EntryItem")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Fields::schemas(schemas);
    }
}

/// An entry. Of body, text comes as `text`, what the MIME registry knows as `content`, anything else as `body_base64`.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "only its documentation is used; a test compares its fields with those of proto::json"
)]
struct Fields {
    conversation_id: i64,
    seq: i64,
    sender_id: i64,
    #[schema(schema_with = kinds)]
    kind: String,
    /// Epoch milliseconds.
    created_ms: i64,
    /// Of a message: the sender's own name for it.
    #[schema(required = false)]
    client_msg_id: String,
    /// Of a message or a card (vas_*): how to read its body.
    #[schema(required = false)]
    mime_type: String,
    /// The body of text/plain.
    #[schema(required = false)]
    text: String,
    /// The body of the other registered types, with the fields of its protobuf message; bytes are base64.
    #[schema(required = false)]
    content: Object,
    /// Any other body.
    #[schema(required = false)]
    body_base64: String,
    /// The entry that this one answers.
    #[schema(required = false)]
    reply_to_seq: i64,
    /// The entry that this one is about.
    #[schema(required = false)]
    corrects_seq: i64,
    /// People called by name.
    #[schema(required = false)]
    mentions: Vec<i64>,
    /// The message was taken back; what it said is withheld.
    #[schema(required = false)]
    recalled: bool,
    /// Of participant_joined and participant_left.
    #[schema(required = false)]
    participant: Participant,
    /// Of status_changed.
    #[schema(required = false)]
    status: Changed,
    /// Of vas_*.
    #[schema(required = false)]
    vas: VasCard,
    /// Of call_*.
    #[schema(required = false)]
    call: Call,
    /// Of media_ready.
    #[schema(required = false)]
    media: Media,
}

/// A participant who came in or went.
#[derive(ToSchema)]
#[schema(as = EntryParticipant)]
#[expect(dead_code, reason = "only its documentation is used")]
struct Participant {
    user_id: i64,
    #[schema(schema_with = roles)]
    role: String,
    name: String,
}

/// A state that a consult has reached.
#[derive(ToSchema)]
#[schema(as = EntryStatus)]
#[expect(dead_code, reason = "only its documentation is used")]
struct Changed {
    #[schema(value_type = Status)]
    status: String,
    /// Whether the conversation takes messages in this state.
    open: bool,
}

/// A value-added service at the time of the entry.
#[derive(ToSchema)]
#[schema(as = EntryVas)]
#[expect(dead_code, reason = "only its documentation is used")]
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
#[derive(ToSchema)]
#[schema(as = EntryCall)]
#[expect(dead_code, reason = "only its documentation is used")]
struct Call {
    call_id: i64,
    video: bool,
    /// Of a call that ended.
    duration_ms: i64,
    /// Of a call that ended; empty before.
    outcome: String,
}

/// An upload that can be fetched.
#[derive(ToSchema)]
#[schema(as = EntryMedia)]
#[expect(dead_code, reason = "only its documentation is used")]
struct Media {
    uri: String,
    mime_type: String,
}

/// The schema of a domain above this one.
fn vas_state() -> RefOr<Schema> {
    Ref::from_schema_name("VasState").into()
}

fn kinds() -> RefOr<Schema> {
    one_of(EntryKind::names())
}

fn roles() -> RefOr<Schema> {
    one_of(Role::names())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proto::wire::entry::Event;
    use serde_json::Value;

    use super::*;

    fn keys(value: &Value) -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    }

    fn properties<T: PartialSchema>() -> BTreeSet<String> {
        keys(&serde_json::to_value(T::schema()).unwrap()["properties"])
    }

    fn shown(entry: wire::Entry) -> Value {
        serde_json::to_value(EntryItem::from(entry)).unwrap()
    }

    /// All optional fields set, with this body and event.
    fn full(mime_type: &str, body: &'static [u8], event: Event) -> Value {
        let entry = wire::Entry {
            client_msg_id: "a".into(),
            mime_type: mime_type.into(),
            body: body.into(),
            reply_to_seq: 1,
            corrects_seq: 1,
            mentions: vec![1],
            event: Some(event),
            ..wire::Entry::default()
        };
        shown(entry)
    }

    #[test]
    fn the_documentation_has_the_fields_of_the_answer() {
        let recalled = wire::Entry {
            recalled: true,
            ..wire::Entry::default()
        };
        let answers = [
            full(
                "text/plain",
                b"a",
                Event::Participant(wire::ParticipantEvent::default()),
            ),
            full("image/png", b"", Event::Status(wire::StatusEvent::default())),
            full("a/b", b"a", Event::Vas(wire::VasEvent::default())),
            full("a/b", b"a", Event::Call(wire::CallEvent::default())),
            full("a/b", b"a", Event::Media(wire::MediaEvent::default())),
            shown(recalled),
        ];
        let found: BTreeSet<String> = answers.iter().flat_map(keys).collect();
        assert_eq!(found, properties::<EntryItem>());
        assert_eq!(keys(&answers[0]["participant"]), properties::<Participant>());
        assert_eq!(keys(&answers[1]["status"]), properties::<Changed>());
        assert_eq!(keys(&answers[2]["vas"]), properties::<VasCard>());
        assert_eq!(keys(&answers[3]["call"]), properties::<Call>());
        assert_eq!(keys(&answers[4]["media"]), properties::<Media>());
    }
}
