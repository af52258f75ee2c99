//! Private chats: conversations of two.

pub(crate) mod block;
pub(crate) mod card;
pub(crate) mod hide;
pub(crate) mod list;
pub(crate) mod open;
mod table;

use proto::ConversationId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::input::Cursor;

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
    /// Neither of the two may write while one of them blocks it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    blocked_by_me: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    blocked_by_other: bool,
    /// The caller has hidden it, and it has no later entry: it is on no list.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    hidden: bool,
}

impl Chat {
    pub(crate) const fn conversation(&self) -> ConversationId {
        ConversationId::from_database(self.conversation_id)
    }

    /// Where it stands in the order of lists.
    const fn place(&self) -> Cursor {
        Cursor {
            at: self.created,
            id: self.conversation_id,
        }
    }

    const fn is_blocked(&self) -> bool {
        self.blocked_by_me || self.blocked_by_other
    }
}
