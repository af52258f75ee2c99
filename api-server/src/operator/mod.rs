//! Operators, who run the platform: their accounts, what they may do, and the audit log of all of it.
//!
//! The command line makes accounts ([`add`]); all other acts go through REST. Every act is a row of the audit log, written in
//! its transaction. Only [`read`] shows an operator the content of a conversation, for a stated reason.

pub(crate) mod account;
pub(crate) mod audit;
mod found;
pub(crate) mod log_in;
mod manage;
pub(crate) mod read;
pub(crate) mod reconcile;
pub(crate) mod search;
mod table;

pub use manage::{Listed, Made, add, disable, enrol, list, reset};
pub(crate) use reconcile::Proving;
pub use reconcile::{Proof, prove};
