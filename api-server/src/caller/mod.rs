//! Who calls, as types: each is made by its extractor alone, so that a handler that takes one cannot forget to ask.

mod operator;
mod user;

pub(crate) use operator::Operator;
pub use user::{Authentication, Role, TokenHash, User};
