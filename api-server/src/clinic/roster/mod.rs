//! The doctors of a clinic: how they join and leave, and who of them supervises.

pub(super) mod doctors;
pub(super) mod invitation;
pub(super) mod join;
pub(super) mod leave;
pub(super) mod supervisor;
