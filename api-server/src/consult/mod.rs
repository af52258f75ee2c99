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

pub(crate) use act::closing::{end_all, leave_all};
pub(crate) use entry::EntryItem;
pub(crate) use event::{Event, Happened, Subscribers};
pub(crate) use life::Status;
pub(crate) use read::WATCH;
pub(crate) use record::Record;
pub(crate) use table::{
    Own, bring_back, check_seated, check_seated_in, count_finished, count_served, fold_some, lock_row,
    lock_row_of_vas, own, shared_a_consult,
};

use jobs::Job;

use crate::{
    app::App,
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

/// Consults about the caller.
pub(crate) struct Subject;

impl MembersOnly for Subject {
    const REFUSAL: ErrorCode = ErrorCode::MemberOnly;
}

/// The member whom consults are about.
type AboutMe = caller::Member<Subject>;

/// The background work of consults.
pub(crate) fn jobs(app: &App) -> [Job; 2] {
    [act::closing::job(app), act::clock::job(app)]
}
