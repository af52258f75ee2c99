//! The wire between apps and im-server nodes: messages, frames, content types, close reasons. By feature:
//! - `client`: the connection that a good client keeps;
//! - `rest`: the calls of an app to the REST service;
//! - `json`: messages in JSON.
//!
//! Start with [`wire`] (the messages, generated from `proto/huizhen/v1/*.proto`) and [`frame`] (how they travel).
//! `docs/protocol.md` says the same to authors of a client in another language.

pub mod bye;
#[cfg(feature = "client")]
pub mod client;
mod content;
pub mod frame;
pub mod ids;
#[cfg(feature = "json")]
pub mod json;
#[cfg(feature = "rest")]
pub mod rest;
pub mod sentence;
pub mod websocket;

/// The protobuf messages; every field is explained in its .proto file.
#[allow(missing_docs, reason = "generated; the comments stand in the .proto files")]
pub mod wire {
    include!(concat!(env!("OUT_DIR"), "/huizhen.v1.rs"));
}

pub use content::{media, mime};
pub use ids::{ConversationId, Seq, UserId};
pub use sentence::{Language, Sentence};

/// The version of the protocol that this crate speaks; `Login.protocol_version`.
pub const PROTOCOL_VERSION: u32 = 1;
