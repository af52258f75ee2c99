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
const IN_JSON: [&str; 20] = [
    "AdviceCard",
    "Audio",
    "CallCard",
    "CallEvent",
    "ConsultCard",
    "Conversation",
    "File",
    "Image",
    "Location",
    "Mark",
    "Marks",
    "MediaEvent",
    "Notice",
    "Participant",
    "ParticipantEvent",
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
    let event = ".huizhen.v1.Entry.event";
    config.enum_attribute(event, DERIVE);
    config.enum_attribute(event, "#[serde(rename_all = \"snake_case\")]");
}
