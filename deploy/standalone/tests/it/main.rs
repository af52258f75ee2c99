//! `huizhen`, as its users run it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod commands;
mod files;
mod process;
mod server;
mod store;
mod talk;
