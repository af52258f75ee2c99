//! Teams of doctors, each with an assistant account (群助手) that is made with it.

mod assistant;
mod create;
mod doctor;
mod show;
mod table;

use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use table::{has_doctor, ids, share_a_team, take_doctor, team_of_consult};

use crate::app::App;

/// The most teams that a doctor creates or joins, counted together. The table `account` has it as a check, too.
pub(crate) const MAX_TEAMS: i64 = 5;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create::create))
        .routes(routes!(show::show))
        .routes(routes!(doctor::add))
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
    membership_fee_fen: i64,
    consult_price_fen: i64,
    owner_id: i64,
    /// The account of 群助手.
    assistant_id: i64,
    /// The owner among them, in the order of joining.
    doctor_ids: Vec<i64>,
    created_ms: i64,
}
