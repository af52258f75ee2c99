//! Bytes that are no frame, or none that an old program knows.

use prost::Message;
use proto::wire::{ClientFrame, Ping, client_frame};

use super::framed;

/// Bytes that are no frame, or none that an old program knows.
pub(crate) struct Edge {
    pub(crate) name: &'static str,
    /// The receiver's reaction.
    pub(crate) outcome: &'static str,
    /// With the length in front.
    pub(crate) bytes: Vec<u8>,
}

/// Bytes that a program must survive.
pub(crate) fn edges() -> Vec<Edge> {
    let ping = ClientFrame {
        request_id: 3,
        body: Some(client_frame::Body::Ping(Ping {})),
    };
    let mut with_unknown_field = ping.encode_to_vec();
    // Field 900, a varint: from a protocol that is newer than this one.
    with_unknown_field.extend([0xa0, 0x38, 0x05]);
    vec![
        Edge {
            name: "empty",
            outcome: "a frame without a body: answered with Error UNSUPPORTED, request_id 0",
            bytes: framed(&[]),
        },
        Edge {
            name: "unknown_field",
            outcome: "the unknown field is skipped: this is a Ping",
            bytes: framed(&with_unknown_field),
        },
        Edge {
            name: "unknown_case",
            outcome: "request_id 3 and a body that is newer than the receiver (field 99): answered with Error UNSUPPORTED under request_id 3",
            bytes: framed(&[0x08, 0x03, 0x9a, 0x06, 0x00]),
        },
        Edge {
            name: "not_protobuf",
            outcome: "a length-delimited field that ends beyond the frame: Bye BAD_FRAME",
            bytes: framed(&[0x32, 0x7f, 0x00]),
        },
        Edge {
            name: "too_long",
            outcome: "the header announces 2 GiB: Bye BAD_FRAME, before anything is reserved or read",
            bytes: vec![0x7f, 0xff, 0xff, 0xff],
        },
    ]
}
