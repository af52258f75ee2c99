//! Value-added services (增值服务, VAS): proposed by a doctor of a consult, decided by its patient.
//!
//! [`life`] decides which step leads to which state. Each step is an entry of the consult's conversation, a card, recorded in
//! the transaction of the row. Every transaction locks the consult's row first: steps, the end of the consult and doctors who
//! leave come one after the other. No proposal stays open in an ended consult, or without its doctor.

pub(crate) mod decide;
pub(crate) mod hide;
pub(crate) mod life;
pub(crate) mod list;
pub(crate) mod propose;
mod record;
pub(crate) mod show;
mod table;
pub(crate) mod team_history;

pub(crate) use decide::on_consult;
