//! Consults (咨询): opened by a member with a team, answered by doctors whom the team's assistant adds.
//!
//! [`life`] decides which act leads to which state. Each act is recorded in the consult's conversations in the transaction
//! of its row: in the main conversation, which has the consult's id, and in the staff room, which the patient never sees.
//! Higher domains act on the [`Event`]s of a consult in that transaction, too.

pub(crate) mod act;
mod entry;
mod event;
pub(crate) mod life;
pub(crate) mod read;
mod record;
mod table;
pub(crate) mod team_doctor;

pub(crate) use entry::EntryItem;
pub(crate) use event::{Event, Happened, Subscriber};
pub(crate) use life::Status;
pub(crate) use record::Record;
pub(crate) use table::{
    check_seated, check_seated_in, count_finished, count_served, lock_row, shared_a_consult,
};

use crate::{
    caller::{self, MembersOnly},
    http::error::ErrorCode,
};

/// The opening of consults.
pub(crate) struct Opening;

impl MembersOnly for Opening {
    const REFUSAL: ErrorCode = ErrorCode::MembersOnly;
}

/// The member who calls.
type Caller = caller::Member<Opening>;
