//! Teams of doctors, each with an assistant account (群助手) of its own.
//!
//! Doctors join by accepting an invitation of the owner or the assistant, members by accepting the current version of the
//! agreement. A doctor who leaves or is removed can no longer be added to a consult of the team. They stay in running ones
//! until the assistant removes them: a patient does not lose a doctor in the middle of a conversation because doctors part.

mod access;
pub(crate) mod assistant;
pub(crate) mod change;
pub(crate) mod create;
pub(crate) mod find;
pub(crate) mod roster;
mod table;

use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use access::check_staff;
pub(crate) use roster::{join::on_invitation, leave::remove_doctor};
pub(crate) use table::{fold_names, has_doctor, ids, lock_doctor, share_a_team, team_of_consult};

use crate::{
    caller::{self, DoctorsOnly},
    http::error::ErrorCode,
};

/// Endpoints of teams that serve doctors only.
pub(crate) struct Teams;

impl DoctorsOnly for Teams {
    const REFUSAL: ErrorCode = ErrorCode::DoctorsOnly;
}

/// The doctor who calls.
type Caller = caller::Doctor<Teams>;

/// Teams that one doctor creates or joins at most. The table `account` checks it, too.
pub(crate) const MAX_TEAMS: i64 = ErrorCode::TeamLimit.limit();

/// A team.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Team {
    team_id: i64,
    name: String,
    introduction: String,
    /// 会员加入协议: the agreement that members accept.
    agreement: String,
    /// Counts from 1; each new text is a new version.
    agreement_version: i64,
    membership_fee_fen: i64,
    consult_price_fen: i64,
    owner_id: i64,
    /// The account of the assistant (群助手).
    assistant_id: i64,
    /// In the order of joining; the owner is among them.
    doctor_ids: Vec<i64>,
    created_ms: i64,
}
