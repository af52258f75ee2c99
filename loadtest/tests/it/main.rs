//! The generator and its checks against the bare relay, and the program from its command line.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fleet;
mod generator;
mod history;
mod media;
mod money;
mod nodes;
mod program;
mod running;
