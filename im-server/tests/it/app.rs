//! An app, frame by frame.

use std::net::SocketAddr;

use proto::{
    client::{Address, Connection},
    wire::{
        ClientFrame, Entry, ErrorCode, Login, Platform, Send, SendOk, ServerFrame, Sync, SyncDone,
        client_frame::Body as Request, server_frame::Body,
    },
};
use testkit::PATIENCE;

pub fn login(user: i64, device: &str, password: &str) -> Login {
    Login {
        protocol_version: proto::PROTOCOL_VERSION,
        user_id: user,
        password: password.into(),
        device_id: device.into(),
        platform: Platform::Android as i32,
        app_version: "test 1".into(),
        ..Login::default()
    }
}

/// One connection of an app, frame by frame.
pub struct App {
    pub connection: Connection,
    next_request: u64,
    /// Entries that came while something else was awaited.
    pub entries: Vec<Entry>,
}

impl App {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(Connection::connect(&Address::tcp(address)).await.unwrap())
    }

    pub fn over(connection: Connection) -> Self {
        Self {
            connection,
            next_request: 1,
            entries: Vec::new(),
        }
    }

    pub async fn send(&mut self, body: Request) -> u64 {
        let request_id = self.next_request;
        self.next_request += 1;
        // A node that has said Bye may have hung up; what it said is still read.
        let _ = self
            .connection
            .send(&ClientFrame {
                request_id,
                body: Some(body),
            })
            .await;
        request_id
    }

    /// The next frame; none at the end of the connection.
    pub async fn receive(&mut self) -> Option<ServerFrame> {
        let frame = tokio::time::timeout(PATIENCE, self.connection.receive()).await;
        frame.expect("a frame within the time").ok().flatten()
    }

    /// The next frame other than an entry; entries are kept.
    pub async fn next(&mut self) -> ServerFrame {
        loop {
            match self.receive().await.expect("the connection is open") {
                ServerFrame {
                    body: Some(Body::Entry(entry)),
                    ..
                } => self.entries.push(entry),
                frame => return frame,
            }
        }
    }

    /// Sends a request and returns its answer, or the Bye instead; entries are kept, other frames skipped.
    pub async fn ask(&mut self, body: Request) -> Body {
        let request_id = self.send(body).await;
        loop {
            let frame = self.next().await;
            if frame.request_id == request_id || matches!(frame.body, Some(Body::Bye(_))) {
                return frame.body.unwrap();
            }
        }
    }

    /// Syncs without copies.
    pub async fn sync_all(&mut self) -> SyncDone {
        self.sync(Sync::default()).await.1
    }

    pub async fn sync(&mut self, sync: Sync) -> (Vec<proto::wire::Conversation>, SyncDone) {
        let request_id = self.send(Request::Sync(sync)).await;
        let mut conversations = Vec::new();
        loop {
            match self.next().await {
                ServerFrame {
                    body: Some(Body::Conversation(conversation)),
                    ..
                } => conversations.push(conversation),
                ServerFrame {
                    request_id: answered,
                    body: Some(Body::SyncDone(done)),
                } if answered == request_id => {
                    return (conversations, done);
                }
                ServerFrame {
                    body: Some(Body::Error(error)),
                    ..
                } => panic!("{error:?}"),
                _ => {}
            }
        }
    }

    pub async fn say(&mut self, conversation: i64, id: &str, text: &str) -> Result<SendOk, ErrorCode> {
        self.say_as(message(conversation, id, text)).await
    }

    pub async fn say_as(&mut self, send: Send) -> Result<SendOk, ErrorCode> {
        match self.ask(Request::Send(send)).await {
            Body::SendOk(ok) => Ok(ok),
            Body::Error(error) => Err(error.code()),
            other => panic!("no answer to Send but {other:?}"),
        }
    }
}

pub fn message(conversation: i64, id: &str, text: &str) -> Send {
    Send {
        conversation_id: conversation,
        client_msg_id: id.into(),
        mime_type: "text/plain".into(),
        body: text.to_owned().into(),
        ..Default::default()
    }
}
