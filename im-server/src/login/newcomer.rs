//! A connection before its login: handshakes and bytes.

use std::{io, net::IpAddr};

use proto::{Language, websocket};
use tokio::net::TcpStream;

use super::{
    forwarded,
    handshake::{Handshake, handshake},
    origin,
};
use crate::{session::outbox::Framing, settings::Door, shared::Shared, transport::Transport};

pub(super) struct Newcomer {
    pub(super) transport: Transport,
    pub(super) door: Door,
    /// The address that limits count.
    pub(super) address: IpAddr,
    pub(super) framing: Framing,
    pub(super) websocket: Option<Box<websocket::Reader>>,
    /// Bytes that were read and not used.
    pub(super) input: Vec<u8>,
    /// The language of its Login; English before it.
    pub(super) language: Language,
}

// protocol: "tls_port speaks both kinds behind TLS"
/// Completes the handshakes before the first frame.
pub(super) async fn open(
    shared: &Shared,
    stream: TcpStream,
    address: IpAddr,
    door: Door,
) -> io::Result<Newcomer> {
    let transport = match (door, &shared.tls) {
        (Door::Tls, Some(acceptor)) => {
            origin::peek_before_tls(shared, &stream, address).await?;
            let (stream, tls) = acceptor.accept(stream).await?.into_inner();
            Transport::tls(stream, tls)
        }
        (Door::Tls, None) => return Err(io::ErrorKind::Unsupported.into()),
        _ => Transport::plain(stream),
    };
    let mut newcomer = Newcomer {
        transport,
        door,
        address,
        framing: Framing::Length,
        websocket: None,
        input: Vec::new(),
        language: Language::default(),
    };
    if door == Door::Tls {
        newcomer.read().await?;
    }
    // TLS carries both protocols: a frame begins with the byte 0, an HTTP request with its method.
    let is_http = newcomer.input.first().is_some_and(u8::is_ascii_uppercase);
    if door == Door::WebSocket || (door == Door::Tls && is_http) {
        newcomer.upgrade(shared).await?;
    }
    Ok(newcomer)
}

impl Newcomer {
    pub(super) async fn read(&mut self) -> io::Result<()> {
        let mut buffer = [0; 512];
        loop {
            match self.transport.try_read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    self.input.extend_from_slice(&buffer[..read]);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.transport.readable().await?,
                Err(error) => return Err(error),
            }
        }
    }

    async fn upgrade(&mut self, shared: &Shared) -> io::Result<()> {
        loop {
            match handshake(&self.input) {
                Handshake::Partial => self.read().await?,
                Handshake::Upgrade { head_bytes, response } => {
                    let head = &self.input[..head_bytes];
                    self.address = forwarded::client(self.address, head, shared.gate.proxies());
                    self.input.drain(..head_bytes);
                    self.write(&response).await?;
                    self.framing = Framing::WebSocket;
                    self.websocket = Some(Box::default());
                    return Ok(());
                }
                Handshake::Refused(response) => {
                    origin::report_header(shared, &self.input, self.address, self.door);
                    self.write(&response).await?;
                    self.transport.end_writing();
                    return Err(io::ErrorKind::InvalidData.into());
                }
            }
        }
    }

    pub(super) async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.transport.try_write(&[io::IoSlice::new(bytes)]) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.transport.writable().await?,
                Err(error) => return Err(error),
            }
        }
        while let Err(error) = self.transport.try_flush() {
            if error.kind() != io::ErrorKind::WouldBlock {
                return Err(error);
            }
            self.transport.writable().await?;
        }
        Ok(())
    }
}
