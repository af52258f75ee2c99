//! The caller's own account.

pub(crate) mod closing;
pub(crate) mod notice;
pub(crate) mod phone;
pub(crate) mod show;

pub(crate) use show::AccountRole;
