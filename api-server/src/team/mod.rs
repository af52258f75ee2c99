//! Teams of doctors, each with an assistant account (群助手) that is made with it.
//!
//! Doctors come in by accepting an invitation of the owner or the assistant; members by accepting the current version of the
//! agreement. A doctor who leaves or is removed can be brought into no consult of the team any more.
//! In those that are running they stay until the assistant takes them out: a patient does not lose a doctor in the middle of
//! a conversation because of what happens between doctors. The answer to the removal tells how many there are.

mod agreement;
mod assistant;
mod change;
mod consults;
mod create;
mod doctor;
mod doctors;
mod invitation;
mod join;
mod leave;
mod members;
mod mine;
mod name;
mod search;
mod show;
mod table;

use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use join::join;
pub(crate) use table::{fold_names, has_doctor, ids, share_a_team, take_doctor, team_of_consult};

use crate::app::App;

/// The most teams that a doctor creates or joins, counted together. The table `account` has it as a check, too.
pub(crate) const MAX_TEAMS: i64 = 5;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create::create, search::search))
        .routes(routes!(join::join_team))
        .routes(routes!(show::show, change::change))
        .routes(routes!(agreement::show))
        .routes(routes!(doctor::add))
        .routes(routes!(doctors::list))
        .routes(routes!(leave::remove_doctor))
        .routes(routes!(members::list))
        .routes(routes!(leave::remove_member))
        .routes(routes!(leave::leave))
        .routes(routes!(invitation::invite))
        .routes(routes!(invitation::withdraw))
        .routes(routes!(invitation::invite_phone))
        .routes(routes!(invitation::list))
        .routes(routes!(mine::list))
        .routes(routes!(consults::history))
        .routes(routes!(consults::of_team))
        .routes(routes!(consults::mine))
        .routes(routes!(assistant::log_in))
}

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
