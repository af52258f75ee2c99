//! The client's side of a WebSocket (RFC 6455), as far as frames need it: one binary message = one frame.

use std::net::SocketAddr;

use anyhow::{Result, bail, ensure};
use prost::Message;
use proto::wire::{ClientFrame, ServerFrame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest answer to the handshake, bytes.
const MAX_HEAD_BYTES: usize = 8 * 1024;
/// The longest message taken, bytes.
const MAX_MESSAGE_BYTES: usize = 256 * 1024;
const READ_BYTES: usize = 4 * 1024;
/// The key and its answer of RFC 6455, section 1.3. A fixed key is as good as any here: it only proves that the other
/// side speaks WebSocket.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const CONTINUATION: u8 = 0;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A WebSocket after its handshake.
#[derive(Debug)]
pub struct WebSocket {
    stream: TcpStream,
    unread: Vec<u8>,
    /// The front of a message in several pieces.
    message: Vec<u8>,
}

/// One piece of a message, or a control frame.
#[derive(Debug, PartialEq, Eq)]
struct Piece {
    is_last: bool,
    opcode: u8,
    payload: Vec<u8>,
}

impl WebSocket {
    /// Connects and shakes hands.
    ///
    /// # Errors
    /// When the node cannot be reached or does not speak WebSocket.
    pub async fn connect(address: SocketAddr) -> Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut socket = Self {
            stream,
            unread: Vec::new(),
            message: Vec::new(),
        };
        loop {
            if let Some(end) = socket.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                check_handshake(&socket.unread[..end])?;
                socket.unread.drain(..end + 4);
                return Ok(socket);
            }
            ensure!(
                socket.unread.len() < MAX_HEAD_BYTES,
                "the answer to the WebSocket handshake is too long"
            );
            ensure!(
                socket.read().await?,
                "the node closed the connection during the WebSocket handshake"
            );
        }
    }

    /// Sends a frame as one binary message.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn send(&mut self, frame: &ClientFrame) -> Result<()> {
        let bytes = encode(BINARY, &frame.encode_to_vec());
        Ok(self.stream.write_all(&bytes).await?)
    }

    /// The next frame; none once the node has closed the connection. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the connection is broken or what comes is not WebSocket, or not a frame.
    pub async fn receive(&mut self) -> Result<Option<ServerFrame>> {
        loop {
            while let Some(piece) = decode(&mut self.unread)? {
                match piece.opcode {
                    BINARY | CONTINUATION => {
                        self.message.extend_from_slice(&piece.payload);
                        ensure!(
                            self.message.len() <= MAX_MESSAGE_BYTES,
                            "the node sent a message longer than {MAX_MESSAGE_BYTES} bytes"
                        );
                        if piece.is_last {
                            let message = std::mem::take(&mut self.message);
                            return Ok(Some(ServerFrame::decode(message.as_slice())?));
                        }
                    }
                    PING => self.stream.write_all(&encode(PONG, &piece.payload)).await?,
                    PONG => {}
                    CLOSE => return Ok(None),
                    other => bail!("the node sent a WebSocket frame of kind {other}"),
                }
            }
            if self.unread.is_empty() {
                self.unread = Vec::new();
            }
            if !self.read().await? {
                return Ok(None);
            }
        }
    }

    async fn read(&mut self) -> Result<bool> {
        // Nothing is held while nothing comes: the buffer is made when there is something to read.
        self.stream.readable().await?;
        self.unread.reserve(READ_BYTES);
        Ok(self.stream.read_buf(&mut self.unread).await? > 0)
    }
}

fn check_handshake(head: &[u8]) -> Result<()> {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    ensure!(
        status.split(' ').nth(1) == Some("101"),
        "the node refuses the WebSocket handshake: {status}"
    );
    let accepts = lines
        .filter_map(|line| line.split_once(':'))
        .any(|(name, value)| name.eq_ignore_ascii_case("sec-websocket-accept") && value.trim() == ACCEPT);
    ensure!(
        accepts,
        "the node does not speak WebSocket: Sec-WebSocket-Accept is wrong or missing"
    );
    Ok(())
}

/// A frame of a client, masked as it must be; the mask hides nothing here and may be all zeros.
fn encode(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len() + 14);
    bytes.push(0x80 | opcode);
    match payload.len() {
        length @ 0..=125 => bytes.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(payload);
    bytes
}

/// Takes a whole frame of a server from the front of `unread`; none when there is only a part of one.
fn decode(unread: &mut Vec<u8>) -> Result<Option<Piece>> {
    let [first, second, rest @ ..] = unread.as_slice() else {
        return Ok(None);
    };
    ensure!(second & 0x80 == 0, "the node masks its WebSocket frames");
    let (length, head) = match (second, rest) {
        (126, [a, b, ..]) => (u64::from(u16::from_be_bytes([*a, *b])), 4),
        (127, [a, b, c, d, e, f, g, h, ..]) => (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 10),
        (126 | 127, _) => return Ok(None),
        (length, _) => (u64::from(*length), 2),
    };
    ensure!(
        length <= MAX_MESSAGE_BYTES as u64,
        "the node announces a WebSocket frame of {length} bytes"
    );
    let end = head + length as usize;
    if unread.len() < end {
        return Ok(None);
    }
    let piece = Piece {
        is_last: first & 0x80 != 0,
        opcode: first & 0x0f,
        payload: unread[head..end].to_vec(),
    };
    unread.drain(..end);
    Ok(Some(piece))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn server_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = encode(opcode, payload);
        let mask = bytes.len() - payload.len() - 4;
        bytes.drain(mask..mask + 4);
        bytes[1] &= 0x7f;
        bytes
    }

    #[test]
    fn frames_of_all_lengths_are_read_once_they_are_whole() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![7; length];
            let whole = server_frame(BINARY, &payload);
            let mut cut = whole[..whole.len() - 1].to_vec();
            assert_eq!(decode(&mut cut).unwrap(), None);
            let mut unread = [whole, vec![1, 2]].concat();
            let piece = decode(&mut unread).unwrap().unwrap();
            assert_eq!(
                (piece.payload, piece.opcode, piece.is_last),
                (payload, BINARY, true)
            );
            assert_eq!(unread, [1, 2]);
        }
    }

    #[test]
    fn what_no_server_may_send_is_refused() {
        assert!(decode(&mut encode(BINARY, b"masked")).is_err());
        assert!(decode(&mut vec![0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 0]).is_err());
        assert!(check_handshake(b"HTTP/1.1 200 OK").is_err());
        assert!(check_handshake(b"HTTP/1.1 101 Switching\r\nSec-WebSocket-Accept: other").is_err());
        let good = format!("HTTP/1.1 101 Switching\r\nsec-websocket-accept: {ACCEPT}");
        assert!(check_handshake(good.as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(mut bytes: Vec<u8>) {
            while let Ok(Some(_)) = decode(&mut bytes) {}
        }
    }
}
