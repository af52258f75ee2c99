//! Value-added services (增值服务, VAS): proposed by a doctor of a consult, decided by its patient.
//!
//! [`life`] says which state follows which. Each step is an entry of the consult's conversation, a card, written in the
//! transaction of the record. Every transaction takes the consult's row first, so that steps, the end of the consult and
//! doctors who go come one after the other: nothing stays proposed in a consult that has ended, or by a doctor who has gone.

pub(crate) mod decide;
pub(crate) mod hide;
mod life;
pub(crate) mod list;
pub(crate) mod propose;
mod record;
pub(crate) mod show;
mod table;

pub(crate) use decide::withdraw_open;
pub(crate) use life::State;
pub(crate) use table::count_confirmed;

/// Services of one consult that are proposed at a time: what a patient can look through.
const MAX_OPEN: i64 = 20;
