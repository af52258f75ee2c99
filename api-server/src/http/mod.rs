//! Everything between a connection and a handler: limits, input, answers and their documentation. The middleware around all
//! routes is `routes/observe.rs`.

pub(crate) mod address;
pub(crate) mod answer;
pub(crate) mod cors;
pub(crate) mod docs;
pub(crate) mod input;
pub(crate) mod limits;
pub(crate) mod once;
pub(crate) mod server;

// Below the callers, which refuse too.
pub use crate::error;
