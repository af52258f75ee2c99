//! `huizhen` as people run it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod backups;
mod beside;
mod chat;
mod commands;
mod compose;
mod conformance;
mod damage;
mod demo;
mod deployment;
mod examples;
mod on_server;
mod process;
mod starts;
mod systemd;
mod terminal;
mod tour;
