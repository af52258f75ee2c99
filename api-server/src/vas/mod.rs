//! Value-added services (增值服务, VAS): proposed by a doctor of a consult, decided by its patient.
//!
//! [`life`] decides which step leads to which state. Each step is an entry of the consult's conversation, a card, recorded in
//! the transaction of the row. Every transaction locks the consult's row first: steps, the end of the consult and doctors who
//! leave come one after the other. No proposal stays open in an ended consult, or without its doctor.

mod decide;
mod hide;
pub(crate) mod life;
mod list;
mod propose;
mod record;
mod show;
mod table;
mod team_history;

use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use decide::on_consult;

use crate::app::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(propose::propose, list::of_consult))
        .routes(routes!(list::own, hide::hide_all))
        .routes(routes!(show::show, hide::hide_one))
        .routes(routes!(decide::confirm))
        .routes(routes!(decide::decline))
        .routes(routes!(decide::retract))
        .routes(routes!(list::of_team))
        .routes(routes!(team_history::show))
}
