//! Consults (咨询): opened by a member with a team, answered by doctors whom the team's assistant adds.
//!
//! [`life`] decides which act leads to which state. Each act is recorded in the consult's conversations in the transaction
//! of its row: in the main conversation, which has the consult's id, and in the staff room, which the patient never sees.
//! Higher domains act on the [`Event`]s of a consult in that transaction, too.

mod act;
mod entry;
mod event;
pub(crate) mod life;
mod read;
mod record;
mod table;
mod team_doctor;

use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use entry::EntryItem;
pub(crate) use event::{Event, Happened, Subscriber};
pub(crate) use life::Status;
pub(crate) use table::{
    check_seated, check_seated_in, count_finished, count_served, lock_consult, lock_row, shared_a_consult,
};

use crate::app::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(act::create::create))
        .routes(routes!(read::list::in_process))
        .routes(routes!(read::list::history, act::hide::hide_all))
        .routes(routes!(act::hide::hide_one))
        .routes(routes!(read::show::show))
        .routes(routes!(act::add_doctor::add_doctor))
        .routes(routes!(act::remove_doctor::remove_doctor))
        .routes(routes!(act::hand_over::hand_over))
        .routes(routes!(act::finish::finish))
        .routes(routes!(act::cancel::cancel))
        .routes(routes!(read::messages::list))
        .routes(routes!(read::of_team::finished))
        .routes(routes!(read::of_team::mine))
        .routes(routes!(team_doctor::remove))
}
