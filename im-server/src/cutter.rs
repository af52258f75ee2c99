//! Cuts the bytes of a connection into frames.

use bytes::Bytes;
use prost::Message;
use proto::{frame::FrameReader, wire::ClientFrame};

use crate::transport::websocket::{self, Incoming};

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
    /// The app sends no more.
    Close,
}

impl Cutter {
    /// The next complete item; `None` when more bytes are needed, and then `input` has been used up.
    ///
    /// # Errors
    /// The bytes are malformed; nothing more can be cut off them.
    pub(crate) fn next(&mut self, input: &mut &[u8], limit: usize) -> Result<Option<Cut>, String> {
        let message = match self {
            Self::Length(reader) => reader.next(input, limit).map_err(|long| {
                format!(
                    "a frame of {} bytes is over the limit of {}",
                    long.length, long.limit
                )
            })?,
            Self::WebSocket(reader) => match reader.next(input, limit) {
                Ok(Some(Incoming::Message(message))) => Some(message),
                Ok(Some(Incoming::Ping(payload))) => return Ok(Some(Cut::Ping(websocket::pong(payload)))),
                Ok(Some(Incoming::Close)) => return Ok(Some(Cut::Close)),
                Ok(None) => None,
                Err(error) => return Err(error.to_string()),
            },
        };
        let Some(message) = message else {
            return Ok(None);
        };
        match ClientFrame::decode(message) {
            Ok(frame) => Ok(Some(Cut::Frame(frame))),
            Err(_) => Err("not a ClientFrame".into()),
        }
    }
}
