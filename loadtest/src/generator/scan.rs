//! Reads of a `ServerFrame` only what the checks need, and writes a `Send`, without allocating: the generator shares
//! the machine with what it measures. Field numbers are those of the .proto files; a test holds both sides together.

/// The parts of a frame that the checks need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scanned<'a> {
    /// `SendOk`
    SendOk {
        /// The send that it answers.
        request_id: u64,
        /// Where it stands.
        conversation_id: i64,
        /// Its place there.
        seq: i64,
        /// It was there before.
        duplicate: bool,
    },
    /// `Entry`
    Entry {
        /// Where it stands.
        conversation_id: i64,
        /// Its place there.
        seq: i64,
        /// Who wrote it.
        sender_id: i64,
        /// `EntryKind`
        kind: u64,
        /// Its body.
        body: &'a [u8],
    },
    /// Anything else: to be decoded in full.
    Other,
}

const FRAME_REQUEST_ID: u64 = 1;
const FRAME_SEND_OK: u64 = 7;
const FRAME_ENTRY: u64 = 8;
const VARINT: u64 = 0;
const BYTES: u64 = 2;

/// Reads one frame, without its length; none when it is not protobuf.
pub fn scan(frame: &[u8]) -> Option<Scanned<'_>> {
    let mut cursor = Cursor { rest: frame };
    let mut request_id = 0;
    while let Some(key) = cursor.key()? {
        match (key.field, key.kind) {
            (FRAME_REQUEST_ID, VARINT) => request_id = cursor.varint()?,
            (FRAME_SEND_OK, BYTES) => return send_ok(request_id, cursor.bytes()?),
            (FRAME_ENTRY, BYTES) => return entry(cursor.bytes()?),
            _ => return Some(Scanned::Other),
        }
    }
    Some(Scanned::Other)
}

fn send_ok(request_id: u64, message: &[u8]) -> Option<Scanned<'_>> {
    let mut cursor = Cursor { rest: message };
    let (mut conversation_id, mut seq, mut duplicate) = (0, 0, false);
    while let Some(key) = cursor.key()? {
        match (key.field, key.kind) {
            (1, VARINT) => conversation_id = cursor.varint()? as i64,
            (2, VARINT) => seq = cursor.varint()? as i64,
            (4, VARINT) => duplicate = cursor.varint()? != 0,
            (_, kind) => cursor.skip(kind)?,
        }
    }
    Some(Scanned::SendOk {
        request_id,
        conversation_id,
        seq,
        duplicate,
    })
}

fn entry(message: &[u8]) -> Option<Scanned<'_>> {
    let mut cursor = Cursor { rest: message };
    let (mut conversation_id, mut seq, mut sender_id, mut kind) = (0, 0, 0, 0);
    let mut body: &[u8] = &[];
    while let Some(key) = cursor.key()? {
        match (key.field, key.kind) {
            (1, VARINT) => conversation_id = cursor.varint()? as i64,
            (2, VARINT) => seq = cursor.varint()? as i64,
            (3, VARINT) => sender_id = cursor.varint()? as i64,
            (4, VARINT) => kind = cursor.varint()?,
            (6, BYTES) => body = cursor.bytes()?,
            (_, kind) => cursor.skip(kind)?,
        }
    }
    Some(Scanned::Entry {
        conversation_id,
        seq,
        sender_id,
        kind,
        body,
    })
}

struct Key {
    field: u64,
    kind: u64,
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// The next field's key; `Some(None)` at the end.
    #[expect(clippy::option_option, reason = "broken and finished are different things")]
    fn key(&mut self) -> Option<Option<Key>> {
        if self.rest.is_empty() {
            return Some(None);
        }
        let key = self.varint()?;
        Some(Some(Key {
            field: key >> 3,
            kind: key & 7,
        }))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for (place, byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[place + 1..];
                return Some(value);
            }
        }
        None
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.varint()?).ok()?;
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }

    fn skip(&mut self, kind: u64) -> Option<()> {
        match kind {
            VARINT => self.varint().map(drop),
            1 => self.rest.split_at_checked(8).map(|(_, rest)| self.rest = rest),
            BYTES => self.bytes().map(drop),
            5 => self.rest.split_at_checked(4).map(|(_, rest)| self.rest = rest),
            _ => None,
        }
    }
}

/// A text message to be sent.
#[derive(Clone, Copy, Debug)]
pub struct SendFields<'a> {
    /// The number that its answer will carry.
    pub request_id: u64,
    /// Where it goes.
    pub conversation_id: i64,
    /// The sender's name for it.
    pub client_msg_id: &'a [u8],
    /// Its body.
    pub body: &'a [u8],
}

const TEXT: &[u8] = b"text/plain";

/// Appends a `ClientFrame` with a `Send`, its length in front.
pub fn write_send(send: SendFields<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.push(0x08);
    put_varint(send.request_id, out);
    out.push(0x32); // ClientFrame.send
    let inner = 1
        + varint_len(send.conversation_id as u64)
        + bytes_len(send.client_msg_id.len())
        + bytes_len(TEXT.len())
        + bytes_len(send.body.len());
    put_varint(inner as u64, out);
    out.push(0x08);
    put_varint(send.conversation_id as u64, out);
    for (key, bytes) in [(0x12, send.client_msg_id), (0x1a, TEXT), (0x22, send.body)] {
        out.push(key);
        put_varint(bytes.len() as u64, out);
        out.extend_from_slice(bytes);
    }
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

fn bytes_len(length: usize) -> usize {
    1 + varint_len(length as u64) + length
}

fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;
    use proto::wire::{self, ClientFrame, ServerFrame, client_frame, server_frame};

    use super::*;

    fn frame(request_id: u64, body: server_frame::Body) -> Vec<u8> {
        ServerFrame {
            request_id,
            body: Some(body),
        }
        .encode_to_vec()
    }

    proptest! {
        #[test]
        fn entries_are_read_as_prost_wrote_them(
            conversation_id in 1..i64::MAX, seq in 0..i64::MAX, sender_id in 0..i64::MAX, kind in 0..13,
            body: Vec<u8>, created_ms: i64, mentions: Vec<i64>, client_msg_id: String,
        ) {
            let bytes = frame(0, server_frame::Body::Entry(wire::Entry {
                conversation_id, seq, sender_id, kind, body: body.clone().into(), created_ms, mentions, client_msg_id,
                ..wire::Entry::default()
            }));
            let expected = Scanned::Entry { conversation_id, seq, sender_id, kind: kind as u64, body: &body };
            prop_assert_eq!(scan(&bytes), Some(expected));
        }

        #[test]
        fn acks_are_read_as_prost_wrote_them(request_id: u64, conversation_id: i64, seq: i64, created_ms: i64, duplicate: bool) {
            let bytes = frame(request_id, server_frame::Body::SendOk(wire::SendOk {
                conversation_id, seq, created_ms, duplicate,
            }));
            let expected = Scanned::SendOk { request_id, conversation_id, seq, duplicate };
            prop_assert_eq!(scan(&bytes), Some(expected));
        }

        #[test]
        fn sends_are_read_by_prost_as_they_were_written(request_id: u64, conversation_id: i64, id in "[a-z0-9]{1,64}", body: Vec<u8>) {
            let mut out = vec![7];
            write_send(SendFields { request_id, conversation_id, client_msg_id: id.as_bytes(), body: &body }, &mut out);
            prop_assert_eq!(u32::from_be_bytes([out[1], out[2], out[3], out[4]]) as usize, out.len() - 5);
            let decoded = ClientFrame::decode(&out[5..]).unwrap();
            prop_assert_eq!(decoded, ClientFrame {
                request_id,
                body: Some(client_frame::Body::Send(wire::Send {
                    conversation_id, client_msg_id: id, mime_type: "text/plain".to_owned(), body: body.into(),
                    ..wire::Send::default()
                })),
            });
        }

        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            let _ = scan(&bytes);
        }
    }

    #[test]
    fn what_is_of_no_interest_is_left_to_prost() {
        let bytes = frame(9, server_frame::Body::Pong(wire::Pong { server_time_ms: 1 }));
        assert_eq!(scan(&bytes), Some(Scanned::Other));
        assert_eq!(scan(&[]), Some(Scanned::Other));
        assert_eq!(scan(&[0x42, 0x7f, 1]), None, "cut");
    }
}
