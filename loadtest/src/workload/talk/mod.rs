//! chat, direct and room: one load with three shapes, and those who are there beside it.

mod idle;
pub(super) mod load;
pub(super) mod shape;
mod stopped;
