//! Decodes the bytes of a connection into frames.

use bytes::Bytes;
use prost::Message;
use proto::{
    Sentence,
    frame::FrameReader,
    websocket::{self, CloseCode, Incoming},
    wire::{ByeReason, ClientFrame},
};

use crate::sentences;

/// The framing of a connection.
pub(crate) enum Decoder {
    /// A length before each frame.
    Length(FrameReader),
    WebSocket(Box<websocket::Reader>),
}

/// A complete item of the input.
pub(crate) enum Decoded {
    Frame(ClientFrame),
    /// A WebSocket ping: carries the answer.
    Ping(Bytes),
    /// The app closes its WebSocket; carries the code of the answer.
    Close(Option<CloseCode>),
}

/// Bytes that are not a frame.
pub(crate) struct Malformed {
    pub(crate) detail: Sentence,
    /// The close code of a WebSocket.
    pub(crate) close: CloseCode,
}

impl From<websocket::Error> for Malformed {
    fn from(error: websocket::Error) -> Self {
        Self {
            detail: error.sentence(),
            close: error.close_code(),
        }
    }
}

impl Malformed {
    pub(crate) fn new(detail: Sentence) -> Self {
        Self {
            detail,
            close: CloseCode::of(ByeReason::BadFrame),
        }
    }
}

impl Decoder {
    // protocol: "Bytes that are not protobuf end the connection with Bye BAD_FRAME"
    /// The next complete item; `None` when `input` is used up and more bytes are needed.
    ///
    /// # Errors
    /// The bytes are malformed; decoding cannot continue.
    pub(crate) fn next(&mut self, input: &mut &[u8], limit: usize) -> Result<Option<Decoded>, Malformed> {
        let message = match self {
            Self::Length(reader) => reader
                .next(input, limit)
                .map_err(|long| Malformed::new(sentences::frame_too_long(long)))?,
            Self::WebSocket(reader) => match reader.next(input, limit)? {
                Some(Incoming::Message(message)) => Some(message),
                Some(Incoming::Ping(payload)) => return Ok(Some(Decoded::Ping(websocket::pong(payload)))),
                Some(Incoming::Close(code)) => return Ok(Some(Decoded::Close(code))),
                None => None,
            },
        };
        let Some(message) = message else {
            return Ok(None);
        };
        match ClientFrame::decode(message) {
            Ok(frame) => Ok(Some(Decoded::Frame(frame))),
            Err(_) => Err(Malformed::new(sentences::NOT_PROTOBUF)),
        }
    }
}
