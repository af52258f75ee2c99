//! An entry of the journal as REST shows it: `proto::json`'s, with its documentation.

use std::borrow::Cow;

use proto::{
    Seq,
    json::{self, Enumeration},
    wire::{self, EntryKind, Role},
};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{Object, Ref, RefOr, Schema},
};

use super::{Status, life::ChargeState};
use crate::http::docs::one_of;

/// An entry.
#[derive(Debug, Serialize)]
pub(crate) struct EntryItem {
    #[serde(flatten)]
    entry: json::Entry,
    #[serde(skip_serializing_if = "Option::is_none")]
    corrected_by_seq: Option<i64>,
}

impl EntryItem {
    /// Its place.
    pub(crate) fn seq(&self) -> i64 {
        self.entry.seq
    }

    /// With the newest correction of it.
    pub(crate) fn corrected_by(self, seq: Option<Seq>) -> Self {
        Self {
            corrected_by_seq: seq.map(Seq::get),
            ..self
        }
    }

    /// As the sealed journal has it: the body of a recalled message included, and marked as recalled.
    pub(crate) fn sealed(mut entry: journal::Entry) -> Self {
        let recalled = std::mem::take(&mut entry.recalled);
        let mut item = json::Entry::from(entry.into_wire());
        item.recalled = recalled;
        item.into()
    }
}

impl From<json::Entry> for EntryItem {
    fn from(entry: json::Entry) -> Self {
        Self {
            entry,
            corrected_by_seq: None,
        }
    }
}

impl From<wire::Entry> for EntryItem {
    fn from(entry: wire::Entry) -> Self {
        json::Entry::from(entry).into()
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
    /// The message that this one corrects; of recalled, the one that was recalled.
    #[schema(required = false)]
    corrects_seq: i64,
    /// Of a corrected message: the newest message that corrects it. Show this one as corrected.
    #[schema(required = false)]
    corrected_by_seq: i64,
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
    /// Of refunded.
    #[schema(required = false)]
    refund: Refunded,
    /// Of deadline.
    #[schema(required = false)]
    deadline: Deadline,
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
    /// Of a doctor, at the time of the entry.
    #[schema(required = false)]
    title: String,
    /// The uri of an image.
    #[schema(required = false)]
    photo: String,
    /// Of a participant who came in: the first entry that they see; absent in older entries, where it is this one.
    #[schema(required = false)]
    sees_from_seq: i64,
}

/// A state that a consult has reached, or a private chat: blocked, unblocked.
#[derive(ToSchema)]
#[schema(as = EntryStatus)]
#[expect(dead_code, reason = "only its documentation is used")]
struct Changed {
    #[schema(schema_with = states)]
    status: String,
    /// Whether the conversation takes messages in this state.
    open: bool,
    /// The price that the patient paid, fen; absent when nothing was charged.
    #[schema(required = false)]
    price_fen: i64,
    /// Where the price is; absent when nothing was charged.
    #[schema(required = false, value_type = ChargeState)]
    charge_state: String,
    /// Why it changed without a request: silence, closed; else absent.
    #[schema(required = false)]
    cause: String,
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

/// A price that went back to the patient, whole or in part.
#[derive(ToSchema)]
#[schema(as = EntryRefund)]
#[expect(dead_code, reason = "only its documentation is used")]
struct Refunded {
    refund_id: i64,
    /// The value-added service; 0: of the consult's own price.
    vas_id: i64,
    amount_fen: i64,
}

/// A deadline that was set, met, lifted, or has passed.
#[derive(ToSchema)]
#[schema(as = EntryDeadline)]
#[expect(dead_code, reason = "only its documentation is used")]
struct Deadline {
    /// answer_reminder, first_answer, silence_warning, silence_end.
    kind: String,
    /// Epoch milliseconds.
    due_ms: i64,
    /// set, met, lifted, fired.
    state: String,
}

/// The schema of a domain above this one.
fn vas_state() -> RefOr<Schema> {
    Ref::from_schema_name("VasState").into()
}

fn states() -> RefOr<Schema> {
    one_of(
        Status::ALL
            .map(Status::as_str)
            .into_iter()
            .chain(["blocked", "unblocked"]),
    )
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
        let corrected = EntryItem::from(entry).corrected_by(Some(Seq::from_database(2)));
        serde_json::to_value(corrected).unwrap()
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
        let charged = wire::StatusEvent {
            price_fen: 1,
            charge_state: "held".into(),
            cause: "silence".into(),
            ..wire::StatusEvent::default()
        };
        let answers = [
            full(
                "text/plain",
                b"a",
                Event::Participant(wire::ParticipantEvent {
                    title: "a".into(),
                    photo: "a".into(),
                    sees_from_seq: 1,
                    ..wire::ParticipantEvent::default()
                }),
            ),
            full("image/png", b"", Event::Status(charged)),
            full("a/b", b"a", Event::Vas(wire::VasEvent::default())),
            full("a/b", b"a", Event::Call(wire::CallEvent::default())),
            full("a/b", b"a", Event::Media(wire::MediaEvent::default())),
            full("a/b", b"a", Event::Refund(wire::RefundEvent::default())),
            full("a/b", b"a", Event::Deadline(wire::DeadlineEvent::default())),
            shown(recalled),
        ];
        let found: BTreeSet<String> = answers.iter().flat_map(keys).collect();
        assert_eq!(found, properties::<EntryItem>());
        assert_eq!(keys(&answers[0]["participant"]), properties::<Participant>());
        assert_eq!(keys(&answers[1]["status"]), properties::<Changed>());
        assert_eq!(keys(&answers[2]["vas"]), properties::<VasCard>());
        assert_eq!(keys(&answers[3]["call"]), properties::<Call>());
        assert_eq!(keys(&answers[4]["media"]), properties::<Media>());
        assert_eq!(keys(&answers[5]["refund"]), properties::<Refunded>());
        assert_eq!(keys(&answers[6]["deadline"]), properties::<Deadline>());
    }
}
