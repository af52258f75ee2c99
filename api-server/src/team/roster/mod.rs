//! The doctors and members of a team: how they join and leave.

pub(super) mod doctors;
pub(super) mod invitation;
pub(super) mod join;
pub(super) mod leave;
pub(super) mod members;
