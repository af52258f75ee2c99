//! The client's side of a WebSocket: the handshake (RFC 6455, 4.1) and the socket; frames are `proto`'s.

use std::net::SocketAddr;

use anyhow::{Result, bail, ensure};
use prost::Message;
use proto::websocket::{Incoming, Reader, client_message, client_pong};
use proto::wire::{ClientFrame, ServerFrame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest answer to the handshake, bytes.
const MAX_HEAD_BYTES: usize = 8 * 1024;
/// The longest message read, bytes.
const MAX_MESSAGE_BYTES: usize = 256 * 1024;
const READ_BYTES: usize = 4 * 1024;
/// The key and its answer of RFC 6455, section 1.3. A fixed key is as good as any here: it only proves that the other
/// side speaks WebSocket.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A WebSocket after its handshake.
#[derive(Debug)]
pub struct WebSocket {
    stream: TcpStream,
    /// Bytes that came with the answer to the handshake, or with an earlier frame.
    unread: Vec<u8>,
    reader: Reader,
    /// Bytes that a dropped write left.
    unsent: Vec<u8>,
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
            reader: Reader::of_server(),
            unsent: Vec::new(),
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
        self.unsent.extend(client_message(&frame.encode_to_vec()));
        self.flush().await
    }

    /// The next frame; none once the node has closed the connection. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the connection is broken or what comes is not WebSocket, or not a frame.
    pub async fn receive(&mut self) -> Result<Option<ServerFrame>> {
        loop {
            self.flush().await?;
            let mut input = self.unread.as_slice();
            let incoming = self.reader.next(&mut input, MAX_MESSAGE_BYTES);
            let used = self.unread.len() - input.len();
            match incoming {
                Ok(Some(Incoming::Message(message))) => {
                    let frame = ServerFrame::decode(message);
                    self.unread.drain(..used);
                    return Ok(Some(frame?));
                }
                Ok(Some(Incoming::Ping(payload))) => self.unsent.extend(client_pong(payload)),
                Ok(Some(Incoming::Close(_))) => return Ok(None),
                Ok(None) => {
                    // A waiting connection holds no buffer.
                    self.unread = Vec::new();
                    if !self.read().await? {
                        return Ok(None);
                    }
                    continue;
                }
                Err(error) => bail!("the node breaks the WebSocket protocol: {}", error.sentence()),
            }
            self.unread.drain(..used);
        }
    }

    async fn flush(&mut self) -> Result<()> {
        while !self.unsent.is_empty() {
            let written = self.stream.write(&self.unsent).await?;
            ensure!(written > 0, "the connection takes no more bytes");
            self.unsent.drain(..written);
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<bool> {
        // The buffer is allocated once there is something to read.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_without_the_right_answer_is_refused() {
        assert!(check_handshake(b"HTTP/1.1 200 OK").is_err());
        assert!(check_handshake(b"HTTP/1.1 101 Switching\r\nSec-WebSocket-Accept: other").is_err());
        let good = format!("HTTP/1.1 101 Switching\r\nsec-websocket-accept: {ACCEPT}");
        assert!(check_handshake(good.as_bytes()).is_ok());
    }
}
