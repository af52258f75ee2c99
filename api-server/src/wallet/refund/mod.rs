//! The way back: unspent balance to the orders that it came from.

pub(crate) mod ask;
mod end;
pub(crate) mod list;

pub(crate) use end::{Outcome, end_refund};
