//! What goes wrong in a soak: [`plan`] decides which of the [`kinds`] is next, [`ground`] does it to one process or to a whole
//! fleet by its [`effect`], and undoes it.

pub(crate) mod effect;
pub(super) mod ground;
pub(crate) mod kinds;
pub(super) mod plan;
