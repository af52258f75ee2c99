//! `huizhen` as people run it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod commands;
mod demo;
mod examples;
mod process;
