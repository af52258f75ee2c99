//! The parts of a program, each by itself.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod accept;
mod admin;
mod lockfile;
mod settings;
mod telemetry;
