//! Finding clinics: by id, by name, one's own.

pub(super) mod mine;
pub(super) mod show;
