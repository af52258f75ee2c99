//! The end of a consult, and a doctor's advice.

pub(crate) mod advice;
pub(crate) mod cancel;
pub(crate) mod finish;
