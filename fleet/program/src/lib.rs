//! What every program of a fleet is made of, so that each `main.rs` only wires: settings from file, environment and
//! flags ([`settings`]), logs and metrics ([`telemetry`]), listeners and their announcement ([`address`],
//! [`listener`]), the admin
//! listener ([`admin`]), the names of all metrics ([`catalogue`]), the end of
//! a certificate ([`certificate`]), signals ([`shutdown`]), memory ([`memory`]), the
//! open-file limit ([`open_files`]), free space ([`free_space`]), the clock at the start ([`wall_clock`]) and what commands print
//! ([`output`]).
//!
//! Nothing here knows what a program does: it gets a clap command, checks and sockets, and hands them back.

/// The commit that this program was built from, 12 hexadecimal digits; "unknown" when it was not built in a checkout.
pub const COMMIT: &str = env!("HUIZHEN_COMMIT");

mod about;
pub mod address;
pub mod admin;
pub mod catalogue;
pub mod certificate;
pub mod free_space;
pub mod listener;
mod log_lines;
pub mod memory;
mod notify;
pub mod open_files;
pub mod output;
mod process;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
pub mod wall_clock;
