//! Events for the app.

use std::time::Duration;

use crate::bye::Advice;
use crate::wire;

/// An event for the app, in the order in which it happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Logged in; entries follow as Sync brings them.
    Connected {
        /// Names the session in the node's logs.
        session_id: u64,
    },
    /// All missed entries have come; later ones are live.
    Synced {
        /// The node's mark for the next Sync; part of the [`Snapshot`](super::Snapshot).
        synced_ms: i64,
    },
    /// A conversation is new or has moved. `reset`: forget the copy of it before taking what follows, which begins at
    /// `from_seq`; older entries are there for History.
    Conversation(Box<wire::Conversation>),
    /// An entry that the app does not have yet; of each conversation in the order of seq, each once.
    Entry(Box<wire::Entry>),
    /// A message is durable.
    Sent {
        /// The sender's name for it.
        client_msg_id: String,
        /// Where it stands.
        conversation_id: i64,
        /// Its place there.
        seq: i64,
        /// When it was accepted, epoch milliseconds.
        created_ms: i64,
        /// It was there already: an earlier attempt had arrived.
        duplicate: bool,
    },
    /// A message was refused, for good.
    SendFailed {
        /// The sender's name for it.
        client_msg_id: String,
        /// Where it should have gone.
        conversation_id: i64,
        /// Why.
        error: wire::Error,
    },
    /// A message was refused for now, and is sent again by itself: the node cannot write, or is asked for too much.
    SendDelayed {
        /// The sender's name for it.
        client_msg_id: String,
        /// Where it goes.
        conversation_id: i64,
        /// Why.
        error: wire::Error,
    },
    /// How far participants got.
    Marks(wire::Marks),
    /// The user has taken a conversation off their lists, or put it back.
    Hidden(wire::Hidden),
    /// A participant is typing.
    Typing(wire::Typing),
    /// A signal of a call.
    CallSignal(wire::CallSignal),
    /// The node said goodbye.
    Bye {
        /// A [`wire::ByeReason`], or a number that is newer than this client.
        reason: i32,
        /// The client's next step.
        advice: Advice,
        /// A sentence for people, in the language of the settings.
        detail: String,
    },
    /// The connection is gone, or could not be made.
    Disconnected {
        /// Why, for people.
        cause: String,
        /// When the client tries again; none: never, and this is the last event.
        retry_in: Option<Duration>,
    },
}
