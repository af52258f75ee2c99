//! The doctors and members of a team: how they join and leave.

pub(crate) mod accept;
pub(crate) mod doctors;
pub(super) mod fee;
pub(crate) mod invitation;
pub(crate) mod join;
pub(crate) mod leave;
pub(crate) mod members;
