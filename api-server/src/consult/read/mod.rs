//! Reading consults: one, the lists of a user or a team, and a journal.

pub(super) mod list;
pub(super) mod messages;
pub(super) mod of_team;
pub(super) mod show;
