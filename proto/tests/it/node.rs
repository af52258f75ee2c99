//! A node that does what a test tells it, frame by frame.

use std::net::SocketAddr;

use prost::Message;
use proto::frame::{self, FrameReader};
use proto::wire::{self, ClientFrame, ServerFrame, client_frame, server_frame};
use testkit::PATIENCE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

pub(crate) struct Node {
    listener: TcpListener,
}

pub(crate) struct Peer {
    stream: TcpStream,
    frames: FrameReader,
    unread: Vec<u8>,
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    pub(crate) async fn accept(&self) -> Peer {
        let (stream, _) = timeout(PATIENCE, self.listener.accept()).await.unwrap().unwrap();
        Peer {
            stream,
            frames: FrameReader::default(),
            unread: Vec::new(),
        }
    }

    /// Accepts, takes the login and answers it.
    pub(crate) async fn log_in(&self) -> (Peer, wire::Login) {
        let mut peer = self.accept().await;
        let Some(client_frame::Body::Login(login)) = peer.receive().await.body else {
            panic!("not a login")
        };
        peer.send(
            0,
            server_frame::Body::LoginOk(wire::LoginOk {
                session_id: 1,
                server_time_ms: 1_000_000,
                expires_at_ms: 1_000_000 + 3_600_000,
                heartbeat_s: 30,
                max_frame_bytes: 65536,
            }),
        )
        .await;
        (peer, login)
    }

    /// Logs in, takes the Sync and answers it with nothing.
    pub(crate) async fn online(&self) -> (Peer, wire::Sync) {
        let (mut peer, _) = self.log_in().await;
        let frame = peer.receive().await;
        let Some(client_frame::Body::Sync(sync)) = frame.body else {
            panic!("not a sync")
        };
        peer.send(
            frame.request_id,
            server_frame::Body::SyncDone(wire::SyncDone::default()),
        )
        .await;
        (peer, sync)
    }
}

impl Peer {
    pub(crate) async fn receive(&mut self) -> ClientFrame {
        self.try_receive()
            .await
            .expect("the client closed the connection")
    }

    pub(crate) async fn try_receive(&mut self) -> Option<ClientFrame> {
        loop {
            let unread = std::mem::take(&mut self.unread);
            let mut input = unread.as_slice();
            let frame = self
                .frames
                .next(&mut input, frame::MAX_FRAME_BYTES)
                .unwrap()
                .map(|bytes| ClientFrame::decode(bytes).unwrap());
            self.unread = input.to_vec();
            if frame.is_some() {
                return frame;
            }
            let mut buffer = [0; 4096];
            let read = timeout(PATIENCE, self.stream.read(&mut buffer))
                .await
                .unwrap()
                .ok()?;
            if read == 0 {
                return None;
            }
            self.unread.extend_from_slice(&buffer[..read]);
        }
    }

    /// The next Send, and its request id.
    pub(crate) async fn receive_send(&mut self) -> (u64, wire::Send) {
        let frame = self.receive().await;
        match frame.body {
            Some(client_frame::Body::Send(send)) => (frame.request_id, send),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn send(&mut self, request_id: u64, body: server_frame::Body) {
        self.send_bytes(&frame::server(request_id, body)).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn entry(&mut self, conversation_id: i64, seq: i64) {
        let entry = wire::Entry {
            conversation_id,
            seq,
            ..wire::Entry::default()
        };
        self.send(0, server_frame::Body::Entry(entry)).await;
    }

    /// Many entries in one write.
    pub(crate) async fn entries(&mut self, conversation_id: i64, seqs: impl Iterator<Item = i64>) {
        let mut bytes = bytes::BytesMut::new();
        for seq in seqs {
            let frame = ServerFrame {
                request_id: 0,
                body: Some(server_frame::Body::Entry(wire::Entry {
                    conversation_id,
                    seq,
                    ..wire::Entry::default()
                })),
            };
            frame::encode_into(&frame, frame.encoded_len(), &mut bytes);
        }
        self.send_bytes(&bytes).await;
    }
}
