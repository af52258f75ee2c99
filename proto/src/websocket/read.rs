//! Frames that came.

use super::{CloseCode, Error, MAX_CONTROL_BYTES, opcode};

/// A message or control frame from the peer.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'r> {
    /// A whole message.
    Message(&'r [u8]),
    /// A ping: answer with [`pong`](super::pong) of the same bytes.
    Ping(&'r [u8]),
    /// The peer closes: answer with [`close`](super::close) of this.
    Close(Option<CloseCode>),
}

/// Cuts a stream of bytes into messages. Grows with the bytes that came, never with what a header announces. The default
/// reads what a client sends.
#[derive(Debug, Default)]
pub struct Reader {
    /// The beginning of a frame's header.
    header: Vec<u8>,
    frame: Option<Frame>,
    /// The message so far.
    message: Vec<u8>,
    /// The control frame so far; it may come between the frames of a message.
    control: Vec<u8>,
    /// A message has begun and more frames of it follow.
    continued: bool,
    /// The bytes returned last are dropped at the next call.
    returned: bool,
    sender: Sender,
}

/// The side whose frames are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sender {
    /// Its frames are masked.
    #[default]
    Client,
    /// Its frames are not.
    Server,
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
    /// Reads what a server sends.
    pub fn of_server() -> Self {
        Self {
            sender: Sender::Server,
            ..Self::default()
        }
    }

    /// The next message, ping or close; none when more bytes are needed, and then `input` has been used up.
    ///
    /// # Errors
    /// When the peer breaks the protocol; the connection cannot go on.
    pub fn next<'r>(&'r mut self, input: &mut &[u8], limit: usize) -> Result<Option<Incoming<'r>>, Error> {
        if self.returned {
            self.returned = false;
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
                // protocol: "A pong is ignored"
                opcode::PONG => self.control.clear(),
                opcode::PING => {
                    self.returned = true;
                    return Ok(Some(Incoming::Ping(&self.control)));
                }
                opcode::CLOSE => {
                    self.returned = true;
                    return Ok(Some(Incoming::Close(CloseCode::answer_to(&self.control))));
                }
                _ if frame.last => {
                    self.continued = false;
                    self.returned = true;
                    return Ok(Some(Incoming::Message(&self.message)));
                }
                _ => self.continued = true,
            }
        }
    }

    // protocol: "An app masks its fragments"
    // protocol: "Only binary messages are frames"
    fn read_header(&mut self, input: &mut &[u8], limit: usize) -> Result<Option<Frame>, Error> {
        loop {
            if let Some(needed) = header_bytes(&self.header, self.sender)
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
        let is_masked = second & 0x80 != 0;
        match self.sender {
            Sender::Client if !is_masked => return Err(Error::Unmasked),
            Sender::Server if is_masked => return Err(Error::Masked),
            Sender::Client | Sender::Server => {}
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
        // Each length has one form, the shortest.
        if left < least {
            return Err(Error::Malformed);
        }
        let mut mask = [0; 4];
        if is_masked {
            mask.copy_from_slice(&header[header.len() - 4..]);
        }
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

/// How long the header is that begins so; none while that is unknown.
fn header_bytes(header: &[u8], sender: Sender) -> Option<usize> {
    let second = header.get(1)?;
    let is_masked = second & 0x80 != 0;
    // A frame with the wrong mask bit is refused as soon as its first two bytes are there.
    if is_masked != (sender == Sender::Client) {
        return Some(2);
    }
    let length = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    Some(2 + length + if is_masked { 4 } else { 0 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::{client_message, client_pong, close, header},
        *,
    };

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
        read_by(Reader::default(), chunks, limit)
    }

    fn read_by(mut reader: Reader, chunks: &[&[u8]], limit: usize) -> Result<Vec<(char, Vec<u8>)>, Error> {
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
    fn each_side_reads_what_the_other_writes() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![7; length];
            let whole = vec![('m', payload.clone())];
            let (header, used) = header(length);
            let from_server = [&header[..used], &payload].concat();
            let reader = Reader::of_server();
            assert_eq!(read_by(reader, &[&from_server], length), Ok(whole.clone()));
            let from_client = client_message(&payload);
            assert_eq!(read(&[&from_client], length), Ok(whole));
            assert_eq!(read(&[&from_client[..from_client.len() - 1]], length), Ok(vec![]));
        }
        let reader = Reader::of_server();
        assert_eq!(read_by(reader, &[&client_message(b"x")], 100), Err(Error::Masked));
        assert_eq!(read(&[&client_pong(b"?")], 100), Ok(vec![]));
        let pinged = [0x89, 1, b'?'];
        let reader = Reader::of_server();
        assert_eq!(read_by(reader, &[&pinged], 100), Ok(vec![('p', b"?".to_vec())]));
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
            let _ = read_by(Reader::of_server(), &[&bytes], 64);
        }
    }
}
