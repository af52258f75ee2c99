//! The client connection against a scripted node.
#![cfg(feature = "client")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod client;
mod node;
