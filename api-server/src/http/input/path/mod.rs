//! Path parameters.

pub(crate) mod month;
mod target;

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use ledger::Month;
use proto::ids::MAX_ID;

pub use target::check_target;
pub(crate) use target::decoded;

use super::Id;
use crate::http::error::Error;

/// The one id in a path.
#[derive(Clone, Copy, Debug)]
pub struct PathId(pub Id);

/// The two ids in a path.
#[derive(Clone, Copy, Debug)]
pub struct PathIds(pub Id, pub Id);

/// An id and a month in a path.
#[derive(Clone, Copy, Debug)]
pub struct PathIdMonth(pub Id, pub Month);

/// The one text in a path. The middleware refuses NUL.
#[derive(Clone, Debug)]
pub struct PathText(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let parameters = parameters(parts, state).await?;
        Ok(Self(id(&parameters, 0)?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathIds {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let parameters = parameters(parts, state).await?;
        Ok(Self(id(&parameters, 0)?, id(&parameters, 1)?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathIdMonth {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let parameters = parameters(parts, state).await?;
        let (name, text) = parameters
            .get(1)
            .ok_or_else(|| Error::internal("the route has no month"))?;
        let month = month::parse(text).ok_or_else(|| month::refusal(name.clone()))?;
        Ok(Self(id(&parameters, 0)?, month))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathText {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let mut parameters = parameters(parts, state).await?;
        if parameters.is_empty() {
            return Err(Error::internal("the route has no parameter"));
        }
        Ok(Self(parameters.swap_remove(0).1))
    }
}

async fn parameters<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Vec<(String, String)>, Error> {
    let parameters = RawPathParams::from_request_parts(parts, state)
        .await
        .map_err(|_| Error::invalid("path", "应为 UTF-8", "must be UTF-8"))?;
    Ok(parameters
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

fn id(parameters: &[(String, String)], at: usize) -> Result<Id, Error> {
    let (name, text) = parameters
        .get(at)
        .ok_or_else(|| Error::internal("the route has fewer ids than its handler reads"))?;
    // Digits only: caches and logs would take other spellings ("+1", " 1") for other ids.
    let number = text
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten();
    number.and_then(Id::new).ok_or_else(|| {
        Error::invalid(
            name.clone(),
            format!("应为 1 到 {MAX_ID} 的整数"),
            format!("must be an integer from 1 to {MAX_ID}"),
        )
    })
}
