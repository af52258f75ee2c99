//! Reading consults: one, the lists of a user or a team, and a journal.

pub(crate) mod list;
pub(crate) mod messages;
pub(crate) mod of_team;
pub(crate) mod show;
