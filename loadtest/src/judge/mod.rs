//! Judges a soak by the frames as they came off the sockets, before any client logic.
//!
//! How to read it: [`note`] (one thing that a device saw or did, 1 to 7 numbers) → [`tape`] (notes go to files while
//! the run goes on) → [`truth`] (the journals, participants and deadlines as the database has them at the end) → [`trial`] (walks
//! over the notes, session by session, and compares) → [`rules`] (the rules, each with its name). [`history`] writes
//! the same as JSON lines, for checkers that share no code with this one. Memory is bounded by one part of the tape: a
//! part holds some conversations.

pub mod database;
pub mod history;
pub mod note;
mod order;
pub mod rules;
mod session;
pub mod tape;
pub mod trial;
pub mod truth;

pub use note::{Note, Seen, What, hash};
pub use rules::{Class, Findings, Rule};
pub use trial::{Trial, Who};
pub use truth::deadline;
pub use truth::{Change, Fact, Span, Truth};
