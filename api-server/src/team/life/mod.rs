//! The life of a team beyond its work: its place is handed on, users are kept out of it, and it is dissolved.

pub(crate) mod block;
pub(crate) mod clock;
pub(crate) mod dissolve;
pub(crate) mod owner;
