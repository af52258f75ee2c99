//! The crate from outside: the client connection against a scripted node, and the contract in docs/.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

#[cfg(feature = "client")]
mod client;
mod contract;
#[cfg(feature = "client")]
mod node;
#[cfg(feature = "rest")]
mod rest;
