//! What goes wrong in a soak: [`plan`] decides which fault is next, [`ground`] does it to one process ([`one`]) or to a whole
//! fleet ([`stage`]) and undoes it.

mod backplane;
mod clients;
pub(crate) mod clock;
mod copy;
mod file;
mod foreign;
mod forge;
pub(super) mod ground;
pub(crate) mod kinds;
pub(super) mod one;
pub(super) mod plan;
mod process;
mod rude;
pub(super) mod stage;
