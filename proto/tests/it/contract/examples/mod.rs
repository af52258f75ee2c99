//! One example of every frame, and of every structured body.

mod bodies;
mod clients;
mod edges;
mod nodes;

use bytes::Bytes;
use prost::Message;
use proto::wire::{ClientFrame, Entry, EntryKind, ServerFrame, client_frame, entry, server_frame};

pub(super) use self::{bodies::bodies, clients::from_clients, edges::edges, nodes::from_nodes};
use super::reflect::Sender;

/// The password of the seed document's example.
const PASSWORD: &str = "3dd734329f5abcdf7dde9ba87301bb1f";
const CONVERSATION: i64 = 1001;
const PATIENT: i64 = 17;
const DOCTOR: i64 = 23;
/// 2026-11-24 08:00 in Shanghai.
const NOW_MS: i64 = 1_795_478_400_000;
const CLIENT_MSG_ID: &str = "0193b0c2-7d1e-7c5a-9a41-2f6f0f1d2a3b";

/// One frame.
pub(super) struct Example {
    pub(super) sender: Sender,
    /// Unique; the case of the envelope first.
    pub(super) name: &'static str,
    /// The situation, for people.
    pub(super) about: &'static str,
    /// The frame, without its length.
    pub(super) bytes: Vec<u8>,
}

fn client(name: &'static str, about: &'static str, request_id: u64, body: client_frame::Body) -> Example {
    let frame = ClientFrame {
        request_id,
        body: Some(body),
    };
    Example {
        sender: Sender::Client,
        name,
        about,
        bytes: frame.encode_to_vec(),
    }
}

fn server(name: &'static str, about: &'static str, request_id: u64, body: server_frame::Body) -> Example {
    let frame = ServerFrame {
        request_id,
        body: Some(body),
    };
    Example {
        sender: Sender::Server,
        name,
        about,
        bytes: frame.encode_to_vec(),
    }
}

fn text(seq: i64, sender_id: i64, body: &'static str) -> Entry {
    Entry {
        conversation_id: CONVERSATION,
        seq,
        sender_id,
        kind: EntryKind::Message.into(),
        mime_type: "text/plain".into(),
        body: Bytes::from_static(body.as_bytes()),
        created_ms: NOW_MS + seq * 1000,
        client_msg_id: CLIENT_MSG_ID.into(),
        ..Default::default()
    }
}

fn event(seq: i64, kind: EntryKind, event: entry::Event) -> Entry {
    Entry {
        conversation_id: CONVERSATION,
        seq,
        sender_id: DOCTOR,
        kind: kind.into(),
        created_ms: NOW_MS + seq * 1000,
        event: Some(event),
        ..Default::default()
    }
}

/// Bytes with their length in front.
pub(super) fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(bytes);
    frame
}
