//! Finding clinics: by id, by name, one's own.

pub(crate) mod mine;
pub(crate) mod show;
