//! Reading consults: one, the lists of a user or a team, those about a relative, and a journal.

pub(crate) mod about_me;
pub(crate) mod desk;
pub(crate) mod list;
pub(crate) mod messages;
pub(crate) mod of_team;
pub(crate) mod ratings;
pub(crate) mod show;
mod watch;

pub(crate) use watch::WATCH;
