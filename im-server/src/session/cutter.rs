//! Cuts the bytes of a connection into frames.

use bytes::Bytes;
use prost::Message;
use proto::{
    Sentence,
    frame::FrameReader,
    wire::{ByeReason, ClientFrame},
};

use crate::{
    node::sentences,
    transport::websocket::{self, CloseCode, Incoming},
};

/// How the frames of a connection are told apart.
pub(crate) enum Cutter {
    /// By a length in front.
    Length(FrameReader),
    WebSocket(Box<websocket::Reader>),
}

/// A complete item of the input.
pub(crate) enum Cut {
    Frame(ClientFrame),
    /// A WebSocket ping, with its answer.
    Ping(Bytes),
    /// The app closes a WebSocket; what it is closed with in turn.
    Close(Option<CloseCode>),
}

/// Bytes that are no frame.
pub(crate) struct NoFrame {
    pub(crate) detail: Sentence,
    /// What a WebSocket is closed with.
    pub(crate) close: CloseCode,
}

impl From<websocket::Error> for NoFrame {
    fn from(error: websocket::Error) -> Self {
        Self {
            detail: error.sentence(),
            close: error.close_code(),
        }
    }
}

impl NoFrame {
    pub(crate) fn new(detail: Sentence) -> Self {
        Self {
            detail,
            close: CloseCode::of(ByeReason::BadFrame),
        }
    }
}

impl Cutter {
    /// The next complete item; `None` when more bytes are needed, and then `input` has been used up.
    ///
    /// # Errors
    /// The bytes are malformed; nothing more can be cut off them.
    pub(crate) fn next(&mut self, input: &mut &[u8], limit: usize) -> Result<Option<Cut>, NoFrame> {
        let message = match self {
            Self::Length(reader) => reader
                .next(input, limit)
                .map_err(|long| NoFrame::new(sentences::frame_too_long(long)))?,
            Self::WebSocket(reader) => match reader.next(input, limit)? {
                Some(Incoming::Message(message)) => Some(message),
                Some(Incoming::Ping(payload)) => return Ok(Some(Cut::Ping(websocket::pong(payload)))),
                Some(Incoming::Close(code)) => return Ok(Some(Cut::Close(code))),
                None => None,
            },
        };
        let Some(message) = message else {
            return Ok(None);
        };
        match ClientFrame::decode(message) {
            Ok(frame) => Ok(Some(Cut::Frame(frame))),
            Err(_) => Err(NoFrame::new(sentences::NOT_PROTOBUF)),
        }
    }
}
