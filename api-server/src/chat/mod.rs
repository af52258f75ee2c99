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
