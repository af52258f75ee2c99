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
pub(crate) mod life;
pub(crate) mod poster;
pub(crate) mod roster;
mod table;

use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use access::{check_owner, check_staff, is_owner, lock_owned};
pub(crate) use find::search::FoundTeam;
pub(crate) use life::clock::Clock;
pub(crate) use roster::{join::on_invitation, leave::remove_doctor};
pub(crate) use table::{
    Leaving, clock_of, close, detach, fold_names, has_doctor, ids, lock_claims, lock_doctor, lock_member,
    lock_row, of_clinic, put_clinic, reopen, share_a_team, team_of_consult, times_of_membership,
};

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

/// Open consults of one member with a team at most, unless the team says otherwise.
const OPEN_CONSULTS: i64 = 3;

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
    /// Whether only members begin consults.
    members_only: bool,
    /// Open consults that one member has with the team at most.
    max_open_consults: i64,
    /// The clinic that it belongs to; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    clinic_id: Option<i64>,
    /// Since when it takes no members and consults, epoch milliseconds: an operator has closed it, or it was dissolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_ms: Option<i64>,
    /// When its owner dissolved it, epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    dissolved_ms: Option<i64>,
    /// Whether its doctors claim consults that have no doctor; otherwise the assistant assigns them.
    claims: bool,
    /// Its promises to patients, and when silent consults end.
    clock: Clock,
}
