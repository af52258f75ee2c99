//! The doctors of a clinic: how they join and leave, and who of them supervises.

pub(crate) mod doctors;
pub(crate) mod invitation;
pub(crate) mod join;
pub(crate) mod leave;
pub(crate) mod supervisor;
