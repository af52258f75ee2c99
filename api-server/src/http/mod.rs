//! Everything between a connection and a handler: limits, authentication, input, answers and their documentation.

pub(crate) mod answer;
pub(crate) mod cors;
pub(crate) mod docs;
pub mod error;
pub(crate) mod health;
pub(crate) mod input;
pub(crate) mod limits;
pub(crate) mod observe;
pub(crate) mod once;
pub(crate) mod server;
