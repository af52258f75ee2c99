//! The effect of each kind of fault.

pub(super) mod backplane;
pub(super) mod clients;
pub(crate) mod clock;
pub(super) mod copy;
pub(super) mod database;
pub(super) mod file;
pub(super) mod foreign;
pub(super) mod forge;
pub(super) mod process;
pub(super) mod rude;
