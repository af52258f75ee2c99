//! Doctors come into a consult and leave it.

pub(crate) mod add_doctor;
pub(crate) mod claim;
pub(crate) mod hand_over;
pub(crate) mod remove_doctor;
