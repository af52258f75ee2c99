//! Consults (咨询): begun by a member with a team, answered by doctors whom the team's assistant brings in.
//!
//! [`life`] says which state follows which. Every step is written into the consult's conversations in the same transaction
//! as its record: the main conversation, whose id is the consult's, and the staff room, which the patient never sees.

pub(crate) mod close;
pub(crate) mod create;
pub(crate) mod doctor;
mod entry;
pub(crate) mod handover;
pub(crate) mod hide;
mod life;
pub(crate) mod list;
pub(crate) mod messages;
mod record;
pub(crate) mod show;
mod table;
mod team_list;

pub(crate) use entry::EntryItem;
pub(crate) use life::Status;
pub(crate) use record::Consult;
pub(crate) use table::{
    check_seated, check_seated_in, count_finished, count_served, running_of, shared_a_consult, take_consult,
    take_row,
};
pub(crate) use team_list::{list_finished, list_served};
