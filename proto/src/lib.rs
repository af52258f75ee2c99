//! The wire between apps and im-server nodes: messages, frames, content types, close reasons, and (feature `client`)
//! the connection that a good client keeps.
//!
//! Start with [`wire`] (the messages, generated from `proto/huizhen/v1/*.proto`) and [`frame`] (how they travel).
//! `docs/protocol.md` tells the same to people who write a client in another language.

pub mod bye;
#[cfg(feature = "client")]
pub mod client;
pub mod frame;
pub mod ids;
pub mod mime;
pub mod sentence;

/// The protobuf messages; every field is explained in its .proto file.
#[allow(missing_docs, reason = "generated; the comments stand in the .proto files")]
pub mod wire {
    include!(concat!(env!("OUT_DIR"), "/huizhen.v1.rs"));
}

pub use ids::{ConversationId, Seq, UserId};
pub use sentence::{Language, Sentence};

/// The version of the protocol that this crate speaks; `Login.protocol_version`.
pub const PROTOCOL_VERSION: u32 = 1;
