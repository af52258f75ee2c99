//! Publish and subscribe.

use std::sync::Arc;

use bytes::Bytes;
use proto::{ConversationId, UserId};

/// Where a payload is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// The entries, marks and typing of one conversation, for every node with a participant on it.
    Conversation(ConversationId),
    /// Notices to one user, for every node where they are logged in.
    User(UserId),
}

/// One process in publish and subscribe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SubscriberId(pub(crate) u64);

/// Takes a subscriber's payloads. It must hand over and return at once: it is called on the publisher's thread.
pub type Handler = Arc<dyn Fn(Channel, Bytes) + Send + Sync>;
