//! Private chats: conversations of two.

mod list;
mod open;
mod table;

use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(open::open))
        .routes(routes!(list::list))
}

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
