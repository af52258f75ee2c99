//! Which domains act on the events of others. Domains import each other in one direction only (tests/it/circles.rs):
//! where the effect of a lower one reaches a higher one, the lower one raises an event and this list names the higher one.
//!
//! Subscribers run in the order of their list, in the transaction of the event.

#[cfg(test)]
mod scripts;

use crate::{clinic, consult, doctor, invitation, media, member, team, vas};

pub(crate) const OF_CONSULTS: consult::Subscribers = consult::Subscribers(&[vas::on_consult]);

pub(crate) const OF_INVITATIONS: invitation::Subscribers =
    invitation::Subscribers(&[team::on_invitation, clinic::on_invitation]);

/// The users who see a record see the media that it names.
pub(crate) const OF_MEDIA: media::Watches = media::Watches(&[consult::WATCH, doctor::WATCH, member::WATCH]);
