//! Frames read by a second decoder, from the .proto files alone.

use proto::wire::{ClientFrame, ServerFrame};
use protox::prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor, Value};
use serde_json::{Map, Value as Json, json};

/// Who sends a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    Client,
    Server,
}

impl Sender {
    /// The envelope's name in the .proto files.
    pub(super) fn envelope(self) -> &'static str {
        match self {
            Self::Client => "ClientFrame",
            Self::Server => "ServerFrame",
        }
    }
}

/// The descriptors of the wire.
pub(super) fn pool() -> DescriptorPool {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");
    let files = protox::compile(["huizhen/v1/frame.proto", "huizhen/v1/content.proto"], [folder]).unwrap();
    DescriptorPool::from_file_descriptor_set(files).unwrap()
}

pub(super) fn message(pool: &DescriptorPool, name: &str) -> MessageDescriptor {
    pool.get_message_by_name(&format!("huizhen.v1.{name}")).unwrap()
}

/// The names of the cases of an envelope's body.
pub(super) fn cases(pool: &DescriptorPool, sender: Sender) -> Vec<String> {
    message(pool, sender.envelope())
        .oneofs()
        .flat_map(|oneof| {
            oneof
                .fields()
                .map(|field| field.name().to_owned())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// A frame's bytes (without the length) as JSON: field names of the .proto files, 64-bit integers as numbers, bytes as
/// hex, enum values by name; fields at their default are left out.
pub(super) fn decoded(pool: &DescriptorPool, name: &str, bytes: &[u8]) -> Json {
    let read = DynamicMessage::decode(message(pool, name), bytes).unwrap();
    object(&read)
}

/// The same bytes, decoded and encoded by the crate.
pub(super) fn encoded_again(sender: Sender, bytes: &[u8]) -> Vec<u8> {
    use prost::Message;
    match sender {
        Sender::Client => ClientFrame::decode(bytes).unwrap().encode_to_vec(),
        Sender::Server => ServerFrame::decode(bytes).unwrap().encode_to_vec(),
    }
}

fn object(read: &DynamicMessage) -> Json {
    sorted(Json::Object(
        read.fields()
            .map(|(field, value)| (field.name().to_owned(), json(&field.kind(), value)))
            .collect(),
    ))
}

fn json(kind: &Kind, value: &Value) -> Json {
    match value {
        Value::Bool(value) => json!(value),
        Value::I32(value) => json!(value),
        Value::I64(value) => json!(value),
        Value::U32(value) => json!(value),
        Value::U64(value) => json!(value),
        Value::F32(value) => json!(value),
        Value::F64(value) => json!(value),
        Value::String(value) => json!(value),
        Value::Bytes(value) => json!(hex::encode(value)),
        Value::EnumNumber(number) => match kind {
            Kind::Enum(descriptor) => descriptor
                .get_value(*number)
                .map_or(json!(number), |value| json!(value.name())),
            _ => json!(number),
        },
        Value::Message(message) => object(message),
        Value::List(items) => Json::Array(items.iter().map(|item| json(kind, item)).collect()),
        Value::Map(_) => unreachable!("the wire has no maps"),
    }
}

/// The keys of objects in alphabetical order, whichever map serde_json was built with.
pub(super) fn sorted(value: Json) -> Json {
    match value {
        Json::Object(fields) => {
            let mut fields: Vec<(String, Json)> = fields
                .into_iter()
                .map(|(key, value)| (key, sorted(value)))
                .collect();
            fields.sort_by(|(one, _), (other, _)| one.cmp(other));
            Json::Object(fields.into_iter().collect::<Map<_, _>>())
        }
        Json::Array(items) => Json::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}
