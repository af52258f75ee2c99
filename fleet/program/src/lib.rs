//! What every program of a fleet is made of, so that each `main.rs` only wires: settings from file, environment and
//! flags ([`settings`]), logs and metrics ([`telemetry`]), listeners and their announcement ([`listener`]), the admin
//! listener ([`admin`]), the names of all metrics ([`catalogue`]), the end of
//! a certificate ([`certificate`]), signals ([`shutdown`]), memory ([`memory`]) and the
//! open-file limit ([`open_files`]).
//!
//! Nothing here knows what a program does: it gets a clap command, checks and sockets, and hands them back.

/// The commit that this program was built from, 12 hexadecimal digits; "unknown" when it was not built in a checkout.
pub const COMMIT: &str = env!("HUIZHEN_COMMIT");

pub mod admin;
pub mod catalogue;
pub mod certificate;
pub mod listener;
mod log_lines;
pub mod memory;
mod notify;
pub mod open_files;
mod process;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
