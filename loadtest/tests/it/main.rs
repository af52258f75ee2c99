//! The generator and its checks against the bare relay, and the program as people start it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fleet;
mod generator;
mod history;
mod nodes;
mod people;
mod program;
