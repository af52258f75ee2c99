//! Consults (咨询): begun by a member with a team, answered by doctors whom the team's assistant brings in.
//!
//! [`life`] says which state follows which. Every step is written into the consult's conversations in the same transaction
//! as its record: the main conversation, whose id is the consult's, and the staff room, which the patient never sees.

mod close;
mod create;
mod doctor;
mod entry;
mod handover;
mod hide;
mod life;
mod list;
mod messages;
mod record;
mod show;
mod table;
mod team_list;

use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use entry::EntryItem;
pub(crate) use life::Status;
pub(crate) use record::Consult;
pub(crate) use table::{
    check_seated, check_seated_in, count_finished, count_served, running_of, shared_a_consult, take_consult,
    take_row,
};
pub(crate) use team_list::{list_finished, list_served};

use crate::app::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create::create))
        .routes(routes!(list::in_process))
        .routes(routes!(list::history, hide::hide_all))
        .routes(routes!(hide::hide_one))
        .routes(routes!(show::show))
        .routes(routes!(doctor::bring_in))
        .routes(routes!(doctor::take_out))
        .routes(routes!(handover::hand_over))
        .routes(routes!(close::finish))
        .routes(routes!(close::cancel))
        .routes(routes!(messages::list))
}
