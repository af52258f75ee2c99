//! The parts that every program of a fleet shares, so that each `main.rs` only wires them.
//!
//! [`serve`] assembles a server: settings from file, environment and flags ([`settings`]), logs and metrics ([`telemetry`]),
//! listeners and the one accept loop ([`accept`]), database, backplane, readiness and the admin listener ([`admin`]).
//! [`address`] is the one notion of a client, [`certificate`] the TLS certificate, [`machine`] the limits of the machine, and
//! [`output`] the lines and the advice that operators read.

/// The commit that this program was built from, 12 hexadecimal digits; "unknown" outside a checkout.
pub const COMMIT: &str = env!("HUIZHEN_COMMIT");

pub mod accept;
pub mod address;
pub mod admin;
pub mod certificate;
pub mod machine;
pub mod output;
pub mod serve;
pub mod settings;
pub mod telemetry;
