//! The server's side of WebSocket (RFC 6455) on the same reading and writing as plain TCP: one binary message is one
//! frame, without its length. Holds nothing but an unfinished message.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;

/// The largest request head, bytes.
pub(crate) const MAX_HEAD_BYTES: usize = 8 * 1024;
/// The sub-protocol that a browser may ask for.
const PROTOCOL: &str = "huizhen.v1";
/// RFC 6455, 1.3.
const KEY_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const MAX_CONTROL_BYTES: usize = 125;

mod opcode {
    pub(super) const CONTINUATION: u8 = 0;
    pub(super) const BINARY: u8 = 2;
    pub(super) const CLOSE: u8 = 8;
    pub(super) const PING: u8 = 9;
    pub(super) const PONG: u8 = 10;
}

/// What a request head asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Handshake {
    /// More bytes are needed.
    Partial,
    /// An upgrade; send `response`, go on after `head_bytes`.
    Upgrade {
        /// What has been used of the input.
        head_bytes: usize,
        /// What to answer.
        response: Vec<u8>,
    },
    /// Something else; send this and close.
    Refused(Vec<u8>),
}

/// Reads a request head.
pub(crate) fn handshake(input: &[u8]) -> Handshake {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let head_bytes = match request.parse(input) {
        Ok(httparse::Status::Complete(head_bytes)) => head_bytes,
        Ok(httparse::Status::Partial) if input.len() < MAX_HEAD_BYTES => return Handshake::Partial,
        _ => return refuse("400 Bad Request", "not an HTTP/1.1 request head of at most 8 KiB"),
    };
    let header = |name: &str| {
        request
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))
            .and_then(|header| std::str::from_utf8(header.value).ok())
    };
    let has = |name: &str, token: &str| {
        header(name).is_some_and(|value| {
            value
                .split(',')
                .any(|part| part.trim().eq_ignore_ascii_case(token))
        })
    };
    if request.method != Some("GET") || !has("upgrade", "websocket") || !has("connection", "upgrade") {
        return refuse(
            "426 Upgrade Required",
            "this port speaks WebSocket: binary messages, see docs/protocol.md",
        );
    }
    if header("sec-websocket-version") != Some("13") {
        return refuse("426 Upgrade Required", "Sec-WebSocket-Version must be 13");
    }
    let Some(key) = header("sec-websocket-key").filter(|key| key.len() == 24) else {
        return refuse("400 Bad Request", "Sec-WebSocket-Key must be 16 bytes in base64");
    };
    let accept = ring::digest::digest(
        &ring::digest::SHA1_FOR_LEGACY_USE_ONLY,
        format!("{key}{KEY_SUFFIX}").as_bytes(),
    );
    let mut response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n",
        BASE64_STANDARD.encode(accept)
    );
    if has("sec-websocket-protocol", PROTOCOL) {
        response.push_str(&format!("Sec-WebSocket-Protocol: {PROTOCOL}\r\n"));
    }
    response.push_str("\r\n");
    Handshake::Upgrade {
        head_bytes,
        response: response.into_bytes(),
    }
}

fn refuse(status: &str, why: &str) -> Handshake {
    let body = format!("{why}\n");
    let upgrade = if status.starts_with("426") {
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
    } else {
        ""
    };
    Handshake::Refused(
        format!(
            "HTTP/1.1 {status}\r\n{upgrade}Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .into_bytes(),
    )
}

/// Why a peer does not speak WebSocket as we do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("a message of {length} bytes is over the limit of {limit}")]
    TooLong { length: usize, limit: usize },
    #[error("a frame from a client must be masked")]
    Unmasked,
    #[error("only binary messages are spoken here")]
    NotBinary,
    #[error("not a WebSocket frame")]
    Malformed,
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming<'r> {
    /// A whole message.
    Message(&'r [u8]),
    /// A ping; answer with [`pong`] of the same bytes.
    Ping(&'r [u8]),
    /// The peer closes.
    Close,
}

/// Cuts a stream of bytes into messages. Grows with the bytes that came, never with what a header announces.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// The beginning of a frame's header.
    header: Vec<u8>,
    frame: Option<Frame>,
    /// The message so far.
    message: Vec<u8>,
    /// The control frame so far; it may come between the frames of a message.
    control: Vec<u8>,
    /// A message has begun and more frames of it follow.
    continued: bool,
    /// What was given out last is to be forgotten.
    taken: bool,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: u8,
    last: bool,
    mask: [u8; 4],
    /// How much of the payload has come, for the mask.
    at: usize,
    left: usize,
}

impl Frame {
    fn is_control(self) -> bool {
        self.opcode & 8 != 0
    }
}

impl Reader {
    /// The next thing that came whole; none when more bytes are needed, and then `input` has been used up.
    pub(crate) fn next<'r>(
        &'r mut self,
        input: &mut &[u8],
        limit: usize,
    ) -> Result<Option<Incoming<'r>>, Error> {
        if self.taken {
            self.taken = false;
            self.control = Vec::new();
            if !self.continued {
                self.message = Vec::new();
            }
        }
        loop {
            let mut frame = match self.frame {
                Some(frame) => frame,
                None => match self.read_header(input, limit)? {
                    Some(frame) => frame,
                    None => return Ok(None),
                },
            };
            let (now, rest) = input.split_at(frame.left.min(input.len()));
            *input = rest;
            let payload = if frame.is_control() {
                &mut self.control
            } else {
                &mut self.message
            };
            payload.extend(
                now.iter()
                    .enumerate()
                    .map(|(i, byte)| byte ^ frame.mask[(frame.at + i) % 4]),
            );
            frame.at += now.len();
            frame.left -= now.len();
            if frame.left > 0 {
                self.frame = Some(frame);
                return Ok(None);
            }
            self.frame = None;
            match frame.opcode {
                opcode::PONG => self.control.clear(),
                opcode::PING => {
                    self.taken = true;
                    return Ok(Some(Incoming::Ping(&self.control)));
                }
                opcode::CLOSE => return Ok(Some(Incoming::Close)),
                _ if frame.last => {
                    self.continued = false;
                    self.taken = true;
                    return Ok(Some(Incoming::Message(&self.message)));
                }
                _ => self.continued = true,
            }
        }
    }

    fn read_header(&mut self, input: &mut &[u8], limit: usize) -> Result<Option<Frame>, Error> {
        loop {
            if let Some(needed) = header_bytes(&self.header)
                && self.header.len() == needed
            {
                break;
            }
            let Some((byte, rest)) = input.split_first() else {
                return Ok(None);
            };
            self.header.push(*byte);
            *input = rest;
        }
        let header = std::mem::take(&mut self.header);
        let (first, second) = (header[0], header[1]);
        let (last, opcode) = (first & 0x80 != 0, first & 0x0f);
        if first & 0x70 != 0 {
            return Err(Error::Malformed);
        }
        if second & 0x80 == 0 {
            return Err(Error::Unmasked);
        }
        let left = match second & 0x7f {
            126 => usize::from(u16::from_be_bytes([header[2], header[3]])),
            127 => {
                let mut length = [0; 8];
                length.copy_from_slice(&header[2..10]);
                usize::try_from(u64::from_be_bytes(length)).unwrap_or(usize::MAX)
            }
            length => usize::from(length),
        };
        let mut mask = [0; 4];
        mask.copy_from_slice(&header[header.len() - 4..]);
        match opcode {
            opcode::BINARY if self.continued => return Err(Error::Malformed),
            opcode::CONTINUATION if !self.continued => return Err(Error::Malformed),
            opcode::BINARY | opcode::CONTINUATION => {
                let length = self.message.len().saturating_add(left);
                if length > limit {
                    return Err(Error::TooLong { length, limit });
                }
            }
            opcode::PING | opcode::PONG | opcode::CLOSE if last && left <= MAX_CONTROL_BYTES => {}
            1 => return Err(Error::NotBinary),
            _ => return Err(Error::Malformed),
        }
        Ok(Some(Frame {
            opcode,
            last,
            mask,
            at: 0,
            left,
        }))
    }
}

/// How long the header is that begins so; none while that cannot be told.
fn header_bytes(header: &[u8]) -> Option<usize> {
    let second = header.get(1)?;
    let length = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mask = if second & 0x80 != 0 { 4 } else { 0 };
    // An unmasked frame is refused as soon as its first two bytes are there.
    Some(2 + if mask == 0 { 0 } else { length + mask })
}

/// The header of a message from the server, and how many of its bytes are used.
pub(crate) fn header(length: usize) -> ([u8; 10], usize) {
    let mut header = [0; 10];
    header[0] = 0x80 | opcode::BINARY;
    let used = match length {
        0..126 => {
            header[1] = length as u8;
            2
        }
        126..65_536 => {
            header[1] = 126;
            header[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            4
        }
        _ => {
            header[1] = 127;
            header[2..10].copy_from_slice(&(length as u64).to_be_bytes());
            10
        }
    };
    (header, used)
}

/// The answer to a ping.
pub(crate) fn pong(payload: &[u8]) -> Bytes {
    control(opcode::PONG, payload)
}

/// The end of a connection: 1000 (normal).
pub(crate) fn close() -> Bytes {
    control(opcode::CLOSE, &1000u16.to_be_bytes())
}

fn control(opcode: u8, payload: &[u8]) -> Bytes {
    let payload = &payload[..payload.len().min(MAX_CONTROL_BYTES)];
    let mut frame = vec![0x80 | opcode, payload.len() as u8];
    frame.extend_from_slice(payload);
    frame.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            length @ 0..126 => frame.push(0x80 | length as u8),
            length @ 126..65_536 => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                frame.push(0x80 | 127);
                frame.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        let mask = [1, 2, 3, 250];
        frame.extend_from_slice(&mask);
        frame.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ mask[i % 4]));
        frame
    }

    fn read(chunks: &[&[u8]], limit: usize) -> Result<Vec<(char, Vec<u8>)>, Error> {
        let mut reader = Reader::default();
        let mut came = Vec::new();
        for chunk in chunks {
            let mut input = *chunk;
            while let Some(incoming) = reader.next(&mut input, limit)? {
                came.push(match incoming {
                    Incoming::Message(message) => ('m', message.to_vec()),
                    Incoming::Ping(payload) => ('p', payload.to_vec()),
                    Incoming::Close => ('c', Vec::new()),
                });
            }
        }
        Ok(came)
    }

    #[test]
    fn a_ping_may_come_between_the_frames_of_a_message() {
        let stream = [
            masked(0x02, b"ab"),
            masked(0x89, b"?"),
            masked(0x80, b"cd"),
            masked(0x88, b""),
        ]
        .concat();
        let expected = vec![('p', b"?".to_vec()), ('m', b"abcd".to_vec()), ('c', vec![])];
        assert_eq!(read(&[&stream], 100), Ok(expected));
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        assert_eq!(read(&[&[0x82, 0x01, b'a']], 100), Err(Error::Unmasked));
        assert_eq!(read(&[&masked(0x81, b"text")], 100), Err(Error::NotBinary));
        assert_eq!(read(&[&masked(0xc2, b"compressed")], 100), Err(Error::Malformed));
        assert_eq!(
            read(&[&masked(0x80, b"continues nothing")], 100),
            Err(Error::Malformed)
        );
        assert_eq!(read(&[&masked(0x89, &[0; 126])], 1000), Err(Error::Malformed));
        let long = [
            0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4,
        ];
        assert!(matches!(read(&[&long], 100), Err(Error::TooLong { .. })));
    }

    #[test]
    fn frames_of_one_message_together_keep_the_limit() {
        let stream = [masked(0x02, &[0; 60]), masked(0x80, &[0; 60])].concat();
        assert_eq!(
            read(&[&stream], 100),
            Err(Error::TooLong {
                length: 120,
                limit: 100
            })
        );
    }

    proptest! {
        #[test]
        fn messages_survive_any_cutting(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..6),
            cut in 1usize..60,
        ) {
            let stream: Vec<u8> = messages.iter().flat_map(|message| masked(0x82, message)).collect();
            let chunks: Vec<&[u8]> = stream.chunks(cut).collect();
            let expected: Vec<_> = messages.into_iter().map(|message| ('m', message)).collect();
            prop_assert_eq!(read(&chunks, 400), Ok(expected));
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&[&bytes], 64);
            let _ = handshake(&bytes);
        }
    }

    #[test]
    fn the_handshake_of_the_rfc() {
        let request = b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\nrest";
        let Handshake::Upgrade { head_bytes, response } = handshake(request) else {
            panic!()
        };
        assert_eq!(&request[head_bytes..], b"rest");
        assert!(
            String::from_utf8(response)
                .unwrap()
                .contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        );
        assert_eq!(handshake(b"GET / HT"), Handshake::Partial);
        assert!(matches!(
            handshake(b"GET / HTTP/1.1\r\n\r\n"),
            Handshake::Refused(_)
        ));
        assert!(matches!(handshake(b"\0\0\0\x10"), Handshake::Refused(_)));
    }
}
