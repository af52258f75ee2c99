//! Operators, who run the platform: their accounts, what they may do, and the audit log of all of it.
//!
//! The command line makes accounts ([`add`]); all other acts go through REST. Every act is a row of the audit log, written in
//! its transaction. Only [`read`] shows an operator the content of a conversation, for a stated reason.

pub(crate) mod account;
pub(crate) mod audit;
pub(crate) mod log_in;
mod manage;
mod person;
pub(crate) mod read;
pub(crate) mod search;
mod table;

pub use manage::{Listed, Made, add, disable, list, reset};
