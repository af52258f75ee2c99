//! A member's own record. Balance and total consumed come from the ledger, which is not there yet, so they are absent.

mod change;
mod profile;
mod show;
mod table;

use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use profile::{Gender, Profile};
pub(crate) use table::{profile_in, put_profile};

use crate::{app::App, family::Relative};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show::show, change::change))
}

/// A member's record, for themselves.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Member {
    member_id: i64,
    name: String,
    #[serde(flatten)]
    profile: Profile,
    /// Everybody, the newest first.
    family: Vec<Relative>,
}
