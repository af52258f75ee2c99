//! The commands that copy, restore or migrate a database as a whole.

pub(super) mod backup;
pub(super) mod copy;
pub(super) mod media;
pub(super) mod migrate;
pub(super) mod reconcile;
pub(super) mod restore;
