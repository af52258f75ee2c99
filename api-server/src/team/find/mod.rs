//! Finding teams: by id, by part of the name, one's own; and the texts of a team's agreement.

pub(crate) mod agreement;
pub(crate) mod mine;
pub(crate) mod name;
pub(crate) mod search;
pub(crate) mod show;
