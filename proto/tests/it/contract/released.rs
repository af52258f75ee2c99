//! Frames and .proto files of earlier releases keep working: they are kept in
//! `tests/fixtures`, a folder for each release whose wire differs from the one before, and are never changed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use proto::{
    frame::{self, FrameReader},
    media::MediaHosts,
    mime,
};
use protox::prost_reflect::{DescriptorPool, EnumDescriptor, Kind, MessageDescriptor};
use serde_json::Value as Json;

use super::reflect::{Sender, decoded, encoded_again, pool};

fn releases() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    let releases: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(!releases.is_empty(), "{folder} has no release");
    releases
}

fn recorded(release: &Path) -> Json {
    let text = fs::read_to_string(release.join("vectors.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn bytes(example: &Json) -> Vec<u8> {
    hex::decode(example["hex"].as_str().unwrap()).unwrap()
}

fn list<'j>(vectors: &'j Json, name: &str) -> &'j Vec<Json> {
    let list = vectors[name].as_array().unwrap();
    assert!(!list.is_empty(), "{name}");
    list
}

#[test]
fn every_recorded_frame_still_says_the_same() {
    let pool = pool();
    for release in releases() {
        let vectors = recorded(&release);
        for (name, sender) in [("from_clients", Sender::Client), ("from_nodes", Sender::Server)] {
            for example in list(&vectors, name) {
                let about = format!("{}: {}", release.display(), example["name"]);
                let framed = bytes(example);
                let mut input = framed.as_slice();
                let mut reader = FrameReader::default();
                let read = reader.next(&mut input, frame::MAX_FRAME_BYTES).unwrap();
                let message = read.unwrap_or_else(|| panic!("{about} is not whole")).to_vec();
                assert_eq!(
                    decoded(&pool, sender.envelope(), &message),
                    example["fields"],
                    "{about}"
                );
                // Nothing in it is unknown to our own decoder.
                assert_eq!(encoded_again(sender, &message), message, "{about}");
            }
        }
    }
}

#[test]
fn every_recorded_body_still_says_the_same_and_is_accepted() {
    let pool = pool();
    for release in releases() {
        for body in list(&recorded(&release), "bodies") {
            let (mime_type, bytes) = (body["mime_type"].as_str().unwrap(), bytes(body));
            let fields = decoded(&pool, body["message"].as_str().unwrap(), &bytes);
            assert_eq!(fields, body["fields"], "{mime_type}");
            mime::check_content(mime_type, &bytes, &MediaHosts::default())
                .unwrap_or_else(|error| panic!("{mime_type}: {error:?}"));
        }
    }
}

/// An app of that release and a node of this one name the same numbers alike, so what either writes the other reads.
#[test]
fn no_number_of_a_release_has_gone_or_means_something_else() {
    let new = pool();
    for release in releases() {
        let files = protox::compile(
            ["huizhen/v1/frame.proto", "huizhen/v1/content.proto"],
            [release.join("proto")],
        )
        .unwrap();
        let old = DescriptorPool::from_file_descriptor_set(files).unwrap();
        for message in old.all_messages() {
            same_message(&message, &new);
        }
        for one in old.all_enums() {
            same_enum(&one, &new);
        }
    }
}

fn same_message(old: &MessageDescriptor, new: &DescriptorPool) {
    let name = old.full_name();
    let now = new
        .get_message_by_name(name)
        .unwrap_or_else(|| panic!("{name} has gone"));
    for field in old.fields() {
        let about = format!("{name}.{} = {}", field.name(), field.number());
        let other = now
            .get_field(field.number())
            .unwrap_or_else(|| panic!("{about} has gone"));
        let case = |oneof: Option<String>| oneof.unwrap_or_default();
        assert_eq!(other.name(), field.name(), "{about}");
        assert_eq!(other.cardinality(), field.cardinality(), "{about}");
        assert_eq!(kind(&other.kind()), kind(&field.kind()), "{about}");
        assert_eq!(
            case(other.containing_oneof().map(|oneof| oneof.name().to_owned())),
            case(field.containing_oneof().map(|oneof| oneof.name().to_owned())),
            "{about}"
        );
    }
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(descriptor) => descriptor.full_name().to_owned(),
        other => format!("{other:?}"),
    }
}

fn same_enum(old: &EnumDescriptor, new: &DescriptorPool) {
    let name = old.full_name();
    let now = new
        .get_enum_by_name(name)
        .unwrap_or_else(|| panic!("{name} has gone"));
    for value in old.values() {
        let other = now
            .get_value(value.number())
            .unwrap_or_else(|| panic!("{} has gone", value.name()));
        assert_eq!(other.name(), value.name(), "{name} = {}", value.number());
    }
}
