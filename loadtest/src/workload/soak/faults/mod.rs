//! Faults of a soak: [`plan`] decides which is next, [`ground`] does it to one process or to a whole
//! fleet by its [`effect`], and undoes it.

pub(crate) mod effect;
pub(super) mod ground;
pub(super) mod plan;
