//! Operators, who run the platform: their accounts, what they may do, and the audit log of all of it.
//!
//! Accounts are made on the command line ([`add`]); everything else goes through REST. Every act is a row of the audit log,
//! written in the transaction of the act. An operator sees no content of a conversation but by [`read`], with a reason.

mod account;
mod audit;
mod log_in;
mod manage;
mod person;
mod read;
mod search;
mod table;

use utoipa_axum::{router::OpenApiRouter, routes};

pub use manage::{Listed, Made, add, disable, list, reset};

use crate::app::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(log_in::log_in))
        .routes(routes!(account::disable_account))
        .routes(routes!(account::enable_account))
        .routes(routes!(search::people))
        .routes(routes!(search::consults))
        .routes(routes!(read::read))
        .routes(routes!(audit::list))
}
