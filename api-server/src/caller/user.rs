//! The user whose access token a request carries.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{Extensions, request::Parts},
};
use proto::UserId;

use crate::error::{Error, ErrorCode};

/// The SHA-256 of an access token.
pub type TokenHash = [u8; 32];

/// The role of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// 会员, a patient.
    Member,
    /// A doctor.
    Doctor,
    /// 群助手, the service account of a team.
    Assistant,
    /// Runs the platform.
    Operator,
}

impl Role {
    /// As the database has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Doctor => "doctor",
            Self::Assistant => "assistant",
            Self::Operator => "operator",
        }
    }

    /// Reads what the database has.
    pub fn from_database(text: &str) -> Option<Self> {
        [Self::Member, Self::Doctor, Self::Assistant, Self::Operator]
            .into_iter()
            .find(|role| role.as_str() == text)
    }
}

/// A logged-in user. A handler that takes one answers others with 401.
#[derive(Clone, Debug)]
pub struct User {
    pub id: UserId,
    /// The device that the access token belongs to.
    pub device_id: Arc<str>,
    pub role: Role,
    pub token: TokenHash,
}

/// The result of authentication, which the middleware attaches to the request.
#[derive(Clone, Debug)]
pub enum Authentication {
    /// No access token, or one that is unknown, expired or revoked.
    Anonymous,
    /// A valid access token.
    User(User),
    /// The access token could not be checked.
    Failed(Error),
}

impl User {
    /// The user whom the middleware authenticated.
    pub(crate) fn of(extensions: &mut Extensions) -> Result<Self, Error> {
        match extensions.get::<Authentication>() {
            Some(Authentication::User(user)) => Ok(user.clone()),
            Some(Authentication::Failed(error)) => Err(error.clone()),
            Some(Authentication::Anonymous) | None => Err(ErrorCode::AuthRequired.into()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for User {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        Self::of(&mut parts.extensions)
    }
}
