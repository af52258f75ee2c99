//! Operators.

use axum::{extract::FromRequestParts, http::request::Parts};

use super::{Role, User};
use crate::http::error::{Error, ErrorCode};

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
            Err(ErrorCode::OperatorsOnly.into())
        }
    }
}
