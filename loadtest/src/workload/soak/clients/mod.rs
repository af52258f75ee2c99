//! The clients of a soak: good ones and plain ones on their devices, visitors, newcomers, and how they send.

pub(super) mod device;
pub(super) mod devices;
pub(super) mod newcomer;
pub(super) mod opener;
pub(super) mod plain;
pub(super) mod sending;
pub(super) mod visitor;
