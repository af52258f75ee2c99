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

use axum::{extract::FromRequestParts, http::request::Parts};
use utoipa_axum::{router::OpenApiRouter, routes};

pub use manage::{Listed, Made, add, disable, list, reset};

use crate::{
    account::{Role, User},
    app::App,
    error::{Error, Word},
};

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

/// The operator whose access token a request carries. A handler that takes one refuses everybody else, whatever the request
/// is about.
pub(crate) struct Operator(pub(crate) User);

impl<S: Send + Sync> FromRequestParts<S> for Operator {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let user = User::from_request_parts(parts, state).await?;
        if user.role == Role::Operator {
            Ok(Self(user))
        } else {
            Err(Word::OperatorsOnly.into())
        }
    }
}
