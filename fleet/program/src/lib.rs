//! What every program of a fleet is made of, so that each `main.rs` only wires: settings from file, environment and
//! flags ([`settings`]), logs and metrics ([`telemetry`]), listeners and their announcement ([`listener`]), the admin
//! listener ([`admin`]), the names of all metrics ([`catalogue`]), signals ([`shutdown`]) and the open-file limit ([`open_files`]).
//!
//! Nothing here knows what a program does: it gets a clap command, checks and sockets, and hands them back.

pub mod admin;
pub mod catalogue;
pub mod listener;
mod notify;
pub mod open_files;
mod process;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
