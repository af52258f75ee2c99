//! Which domains act on the events of others. Domains import each other in one direction only (tests/it/circles.rs):
//! where the effect of a lower one reaches a higher one, the lower one raises an event and this list names the higher one.
//!
//! Subscribers run in the order of their list, in the transaction of the event.

#[cfg(test)]
mod scripts;

use crate::{clinic, consult, invitation, team, vas};

#[derive(Clone, Copy)]
pub(crate) struct Subscribers {
    pub(crate) consult: &'static [consult::Subscriber],
    pub(crate) invitation: &'static [invitation::Subscriber],
}

pub(crate) const ALL: Subscribers = Subscribers {
    consult: &[vas::on_consult],
    invitation: &[team::on_invitation, clinic::on_invitation],
};
