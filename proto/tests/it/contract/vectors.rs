//! `docs/vectors.json`: the examples for programs.

use prost::Message;
use proto::{
    frame::{self, FrameReader},
    media::MediaHosts,
    mime::{self, Form},
    wire::{ClientFrame, client_frame},
};
use serde_json::{Value as Json, json};

use super::{
    document,
    examples::{Example, bodies, edges, framed, from_clients, from_nodes},
    reflect::{Sender, cases, decoded, encoded_again, pool, sorted},
};

// protocol: "vectors.json has the byte-exact examples"
#[test]
fn vectors_json_is_what_the_code_says() {
    let pool = pool();
    let frames = |examples: Vec<Example>| -> Vec<Json> {
        examples
            .iter()
            .map(|example| {
                json!({
                    "name": example.name,
                    "about": example.about,
                    "hex": hex::encode(framed(&example.bytes)),
                    "fields": decoded(&pool, example.sender.envelope(), &example.bytes),
                })
            })
            .collect()
    };
    let bodies: Vec<Json> = bodies()
        .iter()
        .map(|body| {
            json!({
                "mime_type": body.mime_type,
                "message": body.message,
                "hex": hex::encode(&body.bytes),
                "fields": decoded(&pool, body.message, &body.bytes),
            })
        })
        .collect();
    let edges: Vec<Json> = edges()
        .iter()
        .map(|edge| {
            json!({
                "name": edge.name,
                "outcome": edge.outcome,
                "hex": hex::encode(&edge.bytes),
            })
        })
        .collect();
    let vectors = json!({
        "about": "Byte-exact examples of every frame. hex: the frame as on TCP, its 4-byte length first (a WebSocket message is the same without these 4 bytes). fields: what it says, by the names of the .proto files; 64-bit integers as numbers, bytes as hex, enum values by name, fields at their default left out. edges: bytes that a receiver must bear.",
        "protocol_version": proto::PROTOCOL_VERSION,
        "from_clients": frames(from_clients()),
        "from_nodes": frames(from_nodes()),
        "bodies": bodies,
        "edges": edges,
    });
    let mut text = serde_json::to_string_pretty(&sorted(vectors)).unwrap();
    text.push('\n');
    document::hold("vectors.json", &text);
}

// protocol: "A frame on TCP and TLS is a 4-byte big-endian length"
#[test]
fn every_frame_has_an_example_that_two_decoders_read_alike() {
    let pool = pool();
    for (sender, examples) in [(Sender::Client, from_clients()), (Sender::Server, from_nodes())] {
        for case in cases(&pool, sender) {
            let example = examples
                .iter()
                .find(|example| example.name == case)
                .unwrap_or_else(|| panic!("{sender:?} {case} has no example"));
            let fields = decoded(&pool, sender.envelope(), &example.bytes);
            assert!(fields.get(&case).is_some(), "{case} in {fields}");
        }
        for example in &examples {
            assert_eq!(
                encoded_again(sender, &example.bytes),
                example.bytes,
                "{}",
                example.name
            );
            let framed = framed(&example.bytes);
            let mut input = framed.as_slice();
            let mut reader = FrameReader::default();
            let read = reader.next(&mut input, frame::MAX_FRAME_BYTES).unwrap();
            assert_eq!(read, Some(example.bytes.as_slice()));
        }
    }
    let login = &from_clients()[0];
    assert!(login.bytes.len() <= frame::MAX_BEFORE_LOGIN_BYTES);
}

#[test]
fn every_structured_type_has_an_example_that_is_accepted() {
    let bodies = bodies();
    for registered in mime::REGISTRY {
        if registered.form == Form::Text {
            continue;
        }
        let body = bodies
            .iter()
            .find(|body| body.mime_type == registered.mime_type)
            .unwrap_or_else(|| panic!("{} has no example", registered.mime_type));
        mime::check_content(body.mime_type, &body.bytes, &MediaHosts::default()).unwrap();
    }
}

// protocol: "vectors.json has an empty frame, an unknown field"
// protocol: "Skip unknown fields."
#[test]
fn the_edges_are_what_they_say() {
    let body = |name: &str| {
        let edge = edges().into_iter().find(|edge| edge.name == name).unwrap();
        let mut input = edge.bytes.as_slice();
        let mut reader = FrameReader::default();
        reader
            .next(&mut input, frame::MAX_FRAME_BYTES)
            .map(|frame| ClientFrame::decode(frame.expect("the frame is whole")))
    };
    assert_eq!(body("empty").unwrap().unwrap(), ClientFrame::default());
    let ping = body("unknown_field").unwrap().unwrap();
    assert!(matches!(ping.body, Some(client_frame::Body::Ping(_))), "{ping:?}");
    let newer = body("unknown_case").unwrap().unwrap();
    assert_eq!((newer.request_id, newer.body), (3, None));
    assert!(body("not_protobuf").unwrap().is_err());
    assert!(body("too_long").is_err());
}
