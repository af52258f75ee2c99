//! The life of a clinic beyond its work: its place is handed on, doctors are kept out of it, and it is dissolved.

pub(crate) mod block;
pub(crate) mod dissolve;
pub(crate) mod founder;
