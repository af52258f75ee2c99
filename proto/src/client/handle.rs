//! The app's two handles on its client: one sends requests, one receives events.

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::directory::Directory;
use super::event::Event;
use super::session::Session;
use super::settings::Settings;
use super::state::{Machine, Outgoing, Snapshot};
use crate::wire::{self, client_frame, server_frame};

/// How many calls of the app may wait for the client's attention.
const COMMAND_CAPACITY: usize = 64;

/// The client has ended: a node sent it away, or the app closed it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the client has ended")]
pub struct Ended;

/// Why a question has no answer.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum RequestError {
    /// The node refused.
    #[error("the node refused: {} {}", .0.code().as_str_name(), .0.message)]
    Refused(wire::Error),
    /// The node answered with something that this client does not know.
    #[error("the node's answer is newer than this client")]
    Unknown,
    /// There is no connection, or it was lost before the answer came.
    #[error("not connected")]
    Disconnected,
    /// The client has ended.
    #[error("the client has ended")]
    Ended,
}

pub(super) type Answer = Result<server_frame::Body, RequestError>;

#[derive(Debug)]
pub(super) enum Command {
    Send(Outgoing),
    Ask(client_frame::Body, oneshot::Sender<Answer>),
    Report(client_frame::Body),
    Logout,
    Close,
}

/// Requests to the client. Clones belong to the same client; it ends when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Client {
    commands: mpsc::Sender<Command>,
}

impl Client {
    /// Starts a client on the current runtime. `snapshot` is what the app already has.
    pub fn start(directory: impl Directory, settings: Settings, snapshot: Snapshot) -> (Self, Events) {
        let (commands, commanded) = mpsc::channel(COMMAND_CAPACITY);
        let (sender, events) = mpsc::channel(settings.event_capacity.max(1));
        let machine = Machine::new(settings.clone(), snapshot.clone());
        let session = Session::new(directory, settings, machine, commanded, sender);
        // Ends with the last `Client`; `Events` end with it.
        tokio::spawn(session.run());
        (
            Self { commands },
            Events {
                events,
                seen: snapshot,
            },
        )
    }

    // protocol: "Make a client_msg_id (a UUID, at most 64 bytes)"
    /// Sends a message; returns the id by which [`Event::Sent`] or [`Event::SendFailed`] names it. It is
    /// sent again until it is answered. Waits while too many messages wait for their answers.
    ///
    /// # Errors
    /// When the client has ended.
    pub async fn send(
        &self,
        conversation_id: i64,
        mime_type: &str,
        body: impl Into<Bytes>,
    ) -> Result<String, Ended> {
        let client_msg_id = Uuid::now_v7().to_string();
        self.send_message(Outgoing {
            conversation_id,
            client_msg_id: client_msg_id.clone(),
            mime_type: mime_type.to_owned(),
            body: body.into(),
            mentions: Vec::new(),
            reply_to_seq: 0,
            corrects_seq: 0,
        })
        .await?;
        Ok(client_msg_id)
    }

    /// Sends a message under the app's own name for it: also one that an earlier run of the app left unanswered.
    ///
    /// # Errors
    /// When the client has ended.
    pub async fn send_message(&self, message: Outgoing) -> Result<(), Ended> {
        self.command(Command::Send(message)).await
    }

    /// The app has everything up to `seq`.
    ///
    /// # Errors
    /// When the client has ended.
    pub async fn received(&self, conversation_id: i64, seq: i64) -> Result<(), Ended> {
        let body = client_frame::Body::Received(wire::Received { conversation_id, seq });
        self.command(Command::Report(body)).await
    }

    /// The user has read everything up to `seq`.
    ///
    /// # Errors
    /// When the client has ended.
    pub async fn read(&self, conversation_id: i64, seq: i64) -> Result<(), Ended> {
        let body = client_frame::Body::Read(wire::Read { conversation_id, seq });
        self.command(Command::Report(body)).await
    }

    /// The user is typing.
    ///
    /// # Errors
    /// When the client has ended.
    pub async fn typing(&self, conversation_id: i64) -> Result<(), Ended> {
        let body = client_frame::Body::Typing(wire::Typing {
            conversation_id,
            user_id: 0,
        });
        self.command(Command::Report(body)).await
    }

    /// Asks the node something (History, Recall, PresenceQuery …) and waits for the answer. Not repeated by itself.
    ///
    /// # Errors
    /// When the node refuses, there is no connection, or the client has ended.
    pub async fn ask(&self, question: client_frame::Body) -> Result<server_frame::Body, RequestError> {
        let (answer, answered) = oneshot::channel();
        self.command(Command::Ask(question, answer))
            .await
            .map_err(|Ended| RequestError::Ended)?;
        answered.await.map_err(|_| RequestError::Ended)?
    }

    /// Logs this session out and ends the client. Messages without an answer are dropped.
    ///
    /// # Errors
    /// When the client has ended already.
    pub async fn logout(&self) -> Result<(), Ended> {
        self.command(Command::Logout).await
    }

    /// Closes the connection and ends the client. Messages without an answer are dropped.
    ///
    /// # Errors
    /// When the client has ended already.
    pub async fn close(&self) -> Result<(), Ended> {
        self.command(Command::Close).await
    }

    async fn command(&self, command: Command) -> Result<(), Ended> {
        self.commands.send(command).await.map_err(|_| Ended)
    }
}

/// The client's events. The app must keep reading: while it does not, the client reads nothing from the node either,
/// and in the end the node closes the connection as slow.
#[derive(Debug)]
pub struct Events {
    events: mpsc::Receiver<Event>,
    seen: Snapshot,
}

impl Events {
    /// The next event; none once the client has ended and all events were returned.
    pub async fn next(&mut self) -> Option<Event> {
        let event = self.events.recv().await?;
        match &event {
            Event::Conversation(conversation) => {
                self.seen.conversation(conversation);
            }
            Event::Entry(entry) => {
                self.seen.entry(entry);
            }
            Event::Synced { synced_ms } => self.seen.synced_ms = *synced_ms,
            _ => {}
        }
        Some(event)
    }

    /// The app's copies once it has handled each event that [`next`](Self::next) returned; to be stored with them, and
    /// passed to [`Client::start`] the next time.
    pub fn snapshot(&self) -> &Snapshot {
        &self.seen
    }
}
