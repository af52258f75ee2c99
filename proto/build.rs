//! Compiles the .proto files with protox, so that no protoc needs to be installed.

use prost_build::Config;

const FILES: [&str; 7] = [
    "frame.proto",
    "session.proto",
    "messages.proto",
    "catching_up.proto",
    "marks.proto",
    "calls.proto",
    "content.proto",
];

/// Messages with a form in JSON (feature `json`). One with a secret in it, as Login, must not be here.
const IN_JSON: [&str; 24] = [
    "AdviceCard",
    "Audio",
    "CallCard",
    "CallEvent",
    "ConsultCard",
    "ConsultSubject",
    "Conversation",
    "Deadline",
    "DeadlineEvent",
    "File",
    "Image",
    "Location",
    "Mark",
    "Marks",
    "MediaEvent",
    "Notice",
    "Participant",
    "ParticipantEvent",
    "RefundEvent",
    "StatusEvent",
    "Typing",
    "VasCard",
    "VasEvent",
    "Video",
];
/// Their fields that JSON does not show as they are, each with its function in `proto::json`.
const OTHERWISE_IN_JSON: [(&str, &str); 5] = [
    ("Conversation.kind", "name::<crate::wire::ConversationKind, _>"),
    ("File.sha256", "base64"),
    ("Image.thumbnail", "base64"),
    ("Participant.role", "name::<crate::wire::Role, _>"),
    ("ParticipantEvent.role", "name::<crate::wire::Role, _>"),
];
/// Their fields that JSON shows only when they are set, each with its test for the default.
const ABSENT_IN_JSON: [(&str, &str); 20] = [
    ("AdviceCard.follow_up_date", "String::is_empty"),
    ("AdviceCard.impression", "String::is_empty"),
    ("AdviceCard.medicines", "String::is_empty"),
    ("ConsultCard.follow_up_of", "crate::json::is_zero"),
    ("ConsultCard.images", "Vec::is_empty"),
    ("ConsultCard.subject", "Option::is_none"),
    ("ConsultCard.symptom_content", "String::is_empty"),
    ("ConsultCard.symptom_type", "String::is_empty"),
    ("ConsultSubject.age_years", "crate::json::is_zero_u32"),
    ("ConsultSubject.gender", "String::is_empty"),
    ("Conversation.deadline", "Option::is_none"),
    ("Participant.name", "String::is_empty"),
    ("Participant.photo", "String::is_empty"),
    ("Participant.title", "String::is_empty"),
    ("ParticipantEvent.photo", "String::is_empty"),
    ("ParticipantEvent.sees_from_seq", "crate::json::is_zero"),
    ("ParticipantEvent.title", "String::is_empty"),
    ("StatusEvent.cause", "String::is_empty"),
    ("StatusEvent.charge_state", "String::is_empty"),
    ("StatusEvent.price_fen", "crate::json::is_zero"),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(FILES.map(|file| format!("huizhen/v1/{file}")), ["proto"])?;
    let mut config = Config::new();
    config.bytes(["."]);
    if std::env::var_os("CARGO_FEATURE_JSON").is_some() {
        show_in_json(&mut config);
    }
    config.compile_fds(descriptors)?;
    Ok(())
}

/// Each message as an object of its fields, by their names on the wire.
fn show_in_json(config: &mut Config) {
    const DERIVE: &str = "#[derive(serde::Serialize)]";
    for message in IN_JSON {
        config.message_attribute(format!(".huizhen.v1.{message}"), DERIVE);
    }
    for (field, function) in OTHERWISE_IN_JSON {
        let attribute = format!("#[serde(serialize_with = \"crate::json::{function}\")]");
        config.field_attribute(format!(".huizhen.v1.{field}"), attribute);
    }
    for (field, function) in ABSENT_IN_JSON {
        let attribute = format!("#[serde(skip_serializing_if = \"{function}\")]");
        config.field_attribute(format!(".huizhen.v1.{field}"), attribute);
    }
    let event = ".huizhen.v1.Entry.event";
    config.enum_attribute(event, DERIVE);
    config.enum_attribute(event, "#[serde(rename_all = \"snake_case\")]");
}
