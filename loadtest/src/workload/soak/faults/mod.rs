//! What goes wrong in a soak: [`plan`] decides which fault is next, [`ground`] does it to one process ([`one`]) or to a whole
//! fleet ([`stage`]) and undoes it.

mod backplane;
pub(crate) mod clock;
mod copy;
mod file;
mod foreign;
mod forge;
pub(super) mod ground;
pub(super) mod one;
pub(crate) mod plan;
mod rude;
pub(super) mod stage;
