//! All SQL of settlement.

pub(super) mod asked;
pub(super) mod bill;
pub(super) mod difference;
