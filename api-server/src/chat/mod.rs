//! Private chats: conversations of two.

pub(crate) mod list;
pub(crate) mod open;
mod table;

use serde::Serialize;
use utoipa::ToSchema;

/// A private chat, as one of the two has it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Chat {
    /// On the wire.
    conversation_id: i64,
    /// The other one.
    user_id: i64,
    /// The other one's name.
    name: String,
    /// Epoch milliseconds.
    created: i64,
}
