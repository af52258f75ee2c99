//! The server side of WebSocket (RFC 6455) on the same reads and writes as plain TCP: one binary message is one
//! frame, without its length. Buffers only an incomplete message.

mod close;
mod handshake;

use bytes::Bytes;
use proto::Sentence;

pub(crate) use self::{
    close::CloseCode,
    handshake::{Handshake, handshake},
};

const MAX_CONTROL_BYTES: usize = 125;

mod opcode {
    pub(super) const CONTINUATION: u8 = 0;
    pub(super) const TEXT: u8 = 1;
    pub(super) const BINARY: u8 = 2;
    pub(super) const CLOSE: u8 = 8;
    pub(super) const PING: u8 = 9;
    pub(super) const PONG: u8 = 10;
}

/// A violation of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    TooLong { length: usize, limit: usize },
    Unmasked,
    NotBinary,
    Malformed,
}

impl Error {
    pub(crate) fn close_code(self) -> CloseCode {
        match self {
            Self::TooLong { .. } => CloseCode::TOO_BIG,
            Self::NotBinary => CloseCode::UNSUPPORTED_DATA,
            Self::Unmasked | Self::Malformed => CloseCode::PROTOCOL_ERROR,
        }
    }

    pub(crate) fn sentence(self) -> Sentence {
        match self {
            Self::TooLong { length, limit } => Sentence::formatted(
                format!("a message of {length} bytes exceeds the limit of {limit} bytes"),
                format!("消息长 {length} 字节，超过上限 {limit} 字节"),
            ),
            Self::Unmasked => Sentence::new(
                "a frame from a client must be masked",
                "客户端发送的 WebSocket 帧必须带掩码",
            ),
            Self::NotBinary => Sentence::new("only binary messages are accepted", "只接受二进制消息"),
            Self::Malformed => Sentence::new(
                "the data is not a valid WebSocket frame",
                "收到的数据不是有效的 WebSocket 帧",
            ),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming<'r> {
    /// A complete message.
    Message(&'r [u8]),
    /// A ping; answer with [`pong`] of the same bytes.
    Ping(&'r [u8]),
    /// The peer closes; answer with [`close`] of this.
    Close(Option<CloseCode>),
}

/// Decodes a stream of bytes into messages. Grows with received bytes, never with an announced length.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// The beginning of a frame header.
    header: Vec<u8>,
    frame: Option<Frame>,
    /// The message so far.
    message: Vec<u8>,
    /// The control frame so far; it may arrive between the frames of a message.
    control: Vec<u8>,
    /// More frames of the message follow.
    continued: bool,
    /// The last item was returned, and its buffer is to be cleared.
    taken: bool,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: u8,
    last: bool,
    mask: [u8; 4],
    /// Received bytes of the payload, for the mask.
    at: usize,
    left: usize,
}

impl Frame {
    fn is_control(self) -> bool {
        self.opcode & 8 != 0
    }
}

impl Reader {
    /// The next complete item; `None` when `input` is used up and more bytes are needed.
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
                opcode::CLOSE => {
                    self.taken = true;
                    return Ok(Some(Incoming::Close(CloseCode::answer_to(&self.control))));
                }
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
        let (left, least) = match second & 0x7f {
            126 => (usize::from(u16::from_be_bytes([header[2], header[3]])), 126),
            127 => {
                let mut length = [0; 8];
                length.copy_from_slice(&header[2..10]);
                let length = u64::from_be_bytes(length);
                (usize::try_from(length).unwrap_or(usize::MAX), 65_536)
            }
            length => (usize::from(length), 0),
        };
        // Each length has one encoding, the shortest.
        if left < least {
            return Err(Error::Malformed);
        }
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
            opcode::TEXT => return Err(Error::NotBinary),
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

/// Length of the header that begins with these bytes; `None` while it is undetermined.
fn header_bytes(header: &[u8]) -> Option<usize> {
    let second = header.get(1)?;
    let length = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mask = if second & 0x80 != 0 { 4 } else { 0 };
    // An unmasked frame is rejected at its second byte.
    Some(2 + if mask == 0 { 0 } else { length + mask })
}

/// The header of a message from the server, and the number of its bytes.
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

pub(crate) fn pong(payload: &[u8]) -> Bytes {
    control(opcode::PONG, payload)
}

pub(crate) fn close(code: Option<CloseCode>) -> Bytes {
    let code = code.map(|code| code.number().to_be_bytes());
    control(opcode::CLOSE, code.as_ref().map_or(&[], |code| &code[..]))
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
                    Incoming::Close(code) => ('c', close(code)[2..].to_vec()),
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
    fn a_length_has_one_form_and_a_control_frame_is_short_and_whole() {
        for (first, length) in [
            (0x82, &[0xfe, 0, 125][..]),
            (0x82, &[0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff]),
            (0x89, &[0xfe, 0, 126]),
            (0x09, &[0x80]),
            (0x08, &[0x80]),
            (0x83, &[0x80]),
            (0x8b, &[0x80]),
        ] {
            let frame = [&[first], length, &[1, 2, 3, 4]].concat();
            assert_eq!(read(&[&frame], 100_000), Err(Error::Malformed), "{frame:x?}");
        }
    }

    #[test]
    fn a_close_is_answered_with_its_own_code() {
        let answer = |payload: &[u8]| match read(&[&masked(0x88, payload)], 100).unwrap().as_slice() {
            [('c', answer)] => answer.clone(),
            other => panic!("{other:?}"),
        };
        let code = |code: u16| code.to_be_bytes().to_vec();
        assert_eq!(answer(b""), b"");
        for sent in [1000, 1001, 1003, 1011, 3000, 4999] {
            assert_eq!(answer(&[code(sent), "再见".into()].concat()), code(sent));
        }
        for bad in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000] {
            assert_eq!(answer(&code(bad)), code(1002), "{bad}");
        }
        assert_eq!(answer(b"\x03"), code(1002), "half a code");
        assert_eq!(answer(&[code(1000), vec![0xff]].concat()), code(1002), "no UTF-8");
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
            let _ = super::handshake::handshake(&bytes);
        }
    }
}
