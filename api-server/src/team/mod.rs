//! Teams of doctors, each with an assistant account (群助手) of its own.
//!
//! Doctors join by accepting an invitation of the owner or the assistant, members by accepting the current version of the
//! agreement. A doctor who leaves or is removed can no longer be added to a consult of the team. They stay in running ones
//! until the assistant removes them: a patient does not lose a doctor in the middle of a conversation because doctors part.

mod access;
mod assistant;
mod change;
mod create;
mod find;
mod roster;
mod table;

use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use access::{led, of_staff};
pub(crate) use roster::{join::on_invitation, leave::remove_doctor};
pub(crate) use table::{fold_names, has_doctor, ids, lock_doctor, share_a_team, team_of_consult};

use crate::app::App;

/// Teams that one doctor creates or joins at most. The table `account` checks it, too.
pub(crate) const MAX_TEAMS: i64 = 5;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create::create, find::search::search))
        .routes(routes!(roster::join::join))
        .routes(routes!(find::show::show, change::change))
        .routes(routes!(find::agreement::show))
        .routes(routes!(roster::invitation::by_id))
        .routes(routes!(roster::doctors::list))
        .routes(routes!(roster::members::list))
        .routes(routes!(roster::members::remove))
        .routes(routes!(roster::leave::leave))
        .routes(routes!(roster::invitation::by_link))
        .routes(routes!(roster::invitation::revoke))
        .routes(routes!(roster::invitation::by_phone))
        .routes(routes!(roster::invitation::list))
        .routes(routes!(find::mine::list))
        .routes(routes!(assistant::log_in))
}

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
