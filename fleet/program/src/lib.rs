//! What every program of a fleet is made of, so that each `main.rs` only wires: settings from file, environment and
//! flags ([`settings`]), logs and metrics ([`telemetry`]), listeners and their announcement ([`listener`]), the admin
//! listener ([`admin`]), the names of all metrics ([`catalogue`]), the TLS
//! certificate ([`certificate`]), clients' addresses ([`address`]), advice to operators ([`advice`]), signals ([`shutdown`]), memory ([`memory`]) and the
//! open-file limit ([`open_files`]).
//!
//! Nothing here knows what a program does: it gets a clap command, checks and sockets, and hands them back.

/// The commit that this program was built from, 12 hexadecimal digits; "unknown" when it was not built in a checkout.
pub const COMMIT: &str = env!("HUIZHEN_COMMIT");

pub mod address;
pub mod admin;
pub mod advice;
pub mod catalogue;
pub mod certificate;
pub mod listener;
pub mod memory;
mod notify;
pub mod open_files;
mod process;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
