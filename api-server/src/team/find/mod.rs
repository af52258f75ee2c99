//! Finding teams: by id, by part of the name, one's own; and the texts of a team's agreement.

pub(super) mod agreement;
pub(super) mod mine;
pub(super) mod name;
pub(super) mod search;
pub(super) mod show;
