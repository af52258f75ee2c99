//! Teams of doctors, each with an assistant account (群助手) that is made with it.
//!
//! Doctors come in by accepting an invitation of the owner or the assistant; members by accepting the current version of the
//! agreement. A doctor who leaves or is removed can be brought into no consult of the team any more.
//! In those that are running they stay until the assistant takes them out: a patient does not lose a doctor in the middle of
//! a conversation because of what happens between doctors. The answer to the removal tells how many there are.

pub(crate) mod agreement;
pub(crate) mod assistant;
pub(crate) mod change;
pub(crate) mod consults;
pub(crate) mod create;
pub(crate) mod doctor;
pub(crate) mod doctors;
pub(crate) mod invitation;
pub(crate) mod join;
pub(crate) mod leave;
pub(crate) mod members;
pub(crate) mod mine;
mod name;
pub(crate) mod search;
pub(crate) mod show;
mod table;

use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use join::join;
pub(crate) use table::{fold_names, has_doctor, ids, share_a_team, take_doctor, team_of_consult};

/// The most teams that a doctor creates or joins, counted together. The table `account` has it as a check, too.
pub(crate) const MAX_TEAMS: i64 = 5;

/// A team.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Team {
    team_id: i64,
    name: String,
    introduction: String,
    /// 会员加入协议: what members agree to when they join.
    agreement: String,
    /// Counts from 1; another text is another version.
    agreement_version: i64,
    membership_fee_fen: i64,
    consult_price_fen: i64,
    owner_id: i64,
    /// The account of 群助手.
    assistant_id: i64,
    /// The owner among them, in the order of joining.
    doctor_ids: Vec<i64>,
    created_ms: i64,
}

impl Team {
    /// Whether somebody leads the team: its owner, or its assistant, whom the owner alone can log in as.
    fn is_led_by(&self, user: proto::UserId) -> bool {
        [self.owner_id, self.assistant_id].contains(&user.get())
    }
}
