//! Operators, who run the platform: their accounts, what they may do, and the audit log of all of it.
//!
//! Accounts are made on the command line ([`add`]); everything else goes through REST. Every act is a row of the audit log,
//! written in the transaction of the act. An operator sees no content of a conversation but by [`read`], with a reason.

pub(crate) mod account;
pub(crate) mod audit;
pub(crate) mod log_in;
mod manage;
mod person;
pub(crate) mod read;
pub(crate) mod search;
mod table;

pub use manage::{Listed, Made, add, disable, list, reset};
