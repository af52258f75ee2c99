//! The bytes of a medium, for the users who see its entry or record.

pub(crate) mod bytes;
mod headers;
mod range;
mod rights;

pub(crate) use bytes::Wanted;
pub(crate) use rights::used;
