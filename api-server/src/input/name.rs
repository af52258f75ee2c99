//! The name that is searched for.

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};

use super::Text;
use crate::error::Error;

/// A name that is searched for.
pub(crate) type Name = Text<1, 64>;

/// `name` of a search, without the white space around it.
#[derive(Clone, Debug)]
pub struct NameQuery(pub Name);

impl<S: Send + Sync> FromRequestParts<S> for NameQuery {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let Query(pairs) = Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|_| Error::invalid("query", "应为 URL 编码的键值对", "it must be URL-encoded pairs"))?;
        let name = pairs.into_iter().find(|(key, _)| key == "name");
        name.and_then(|(_, name)| Text::new(name.trim().to_owned()))
            .map(Self)
            .ok_or_else(|| {
                Error::invalid(
                    "name",
                    "应为 1 到 64 个字符的名称，不含 NUL",
                    "it must be a name of 1 to 64 characters, without NUL",
                )
            })
    }
}
