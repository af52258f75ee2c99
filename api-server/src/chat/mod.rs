//! Private chats: conversations of two.

pub(crate) mod list;
pub(crate) mod open;
mod table;

use serde::Serialize;
use utoipa::ToSchema;

/// A private chat, as one of its users sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Chat {
    /// Its id on the wire.
    conversation_id: i64,
    /// The other user.
    user_id: i64,
    /// The other user's name.
    name: String,
    /// Epoch milliseconds.
    created: i64,
}
