//! Value-added services (增值服务, VAS): proposed by a doctor of a consult, decided by its patient.
//!
//! [`life`] says which state follows which. Each step is an entry of the consult's conversation, a card, written in the
//! transaction of the record. Every transaction takes the consult's row first, so that steps, the end of the consult and
//! doctors who go come one after the other: nothing stays proposed in a consult that has ended, or by a doctor who has gone.

mod decide;
mod hide;
mod life;
mod list;
mod propose;
mod record;
mod show;
mod table;

use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use decide::withdraw_open;
pub(crate) use life::State;
pub(crate) use table::count_confirmed;

use crate::app::App;

/// Services of one consult that are proposed at a time: what a patient can look through.
const MAX_OPEN: i64 = 20;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(propose::propose, list::of_consult))
        .routes(routes!(list::own, hide::hide_all))
        .routes(routes!(show::show, hide::hide_one))
        .routes(routes!(decide::confirm))
        .routes(routes!(decide::decline))
        .routes(routes!(decide::withdraw))
        .routes(routes!(list::of_team))
}
