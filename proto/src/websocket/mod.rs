//! Frames of a WebSocket (RFC 6455) for both sides, without I/O: one binary message is one frame of [`crate::frame`],
//! without its length. The handshake is the owner's of the socket.

mod close;
mod read;
mod write;

use crate::Sentence;

pub use self::{
    close::CloseCode,
    read::{Incoming, Reader},
    write::{client_message, client_pong, close, header, pong},
};

/// The longest payload of a control frame, bytes (RFC 6455, 5.5).
const MAX_CONTROL_BYTES: usize = 125;

/// The kinds of frames (RFC 6455, 5.2).
mod opcode {
    pub(super) const CONTINUATION: u8 = 0;
    pub(super) const TEXT: u8 = 1;
    pub(super) const BINARY: u8 = 2;
    pub(super) const CLOSE: u8 = 8;
    pub(super) const PING: u8 = 9;
    pub(super) const PONG: u8 = 10;
}

/// Why what a peer sends is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// A message over the limit.
    TooLong {
        /// Its length as far as it is known, bytes.
        length: usize,
        /// The limit, bytes.
        limit: usize,
    },
    /// A client's frame without a mask.
    Unmasked,
    /// A server's frame with a mask.
    Masked,
    /// A text message.
    NotBinary,
    /// Not a WebSocket frame.
    Malformed,
}

impl Error {
    // protocol: "A breach of the rules above gets Bye BAD_FRAME"
    /// The code to close the connection with.
    pub fn close_code(self) -> CloseCode {
        match self {
            Self::TooLong { .. } => CloseCode::TOO_BIG,
            Self::NotBinary => CloseCode::UNSUPPORTED_DATA,
            Self::Unmasked | Self::Masked | Self::Malformed => CloseCode::PROTOCOL_ERROR,
        }
    }

    /// The fault.
    pub fn sentence(self) -> Sentence {
        match self {
            Self::TooLong { length, limit } => Sentence::formatted(
                format!("a message of {length} bytes exceeds the limit of {limit} bytes"),
                format!("消息长 {length} 字节，超过上限 {limit} 字节"),
            ),
            Self::Unmasked => Sentence::new(
                "a frame from a client must be masked",
                "客户端发送的 WebSocket 帧必须带掩码",
            ),
            Self::Masked => Sentence::new(
                "a frame from a server must not be masked",
                "服务端发送的 WebSocket 帧不得带掩码",
            ),
            Self::NotBinary => Sentence::new("only binary messages are accepted", "只接受二进制消息"),
            Self::Malformed => Sentence::new(
                "the data is not a valid WebSocket frame",
                "收到的数据不是有效的 WebSocket 帧",
            ),
        }
    }
}
