//! The name of a search.

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use serde::{Deserialize, Deserializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

use super::{Text, broken, clean::composed, fold::folded, gram::Search};
use crate::http::error::Error;

/// The longest name, characters.
const MAX_NAME_CHARS: usize = 64;

/// The name of a search, as documented.
pub(crate) type Name = Text<1, MAX_NAME_CHARS>;

/// `name` of a search: 1 to 64 characters, trimmed. Characters that names may not contain are accepted, and find the names
/// that look alike.
#[derive(Clone, Debug)]
pub struct NameQuery {
    /// As the request spells it.
    pub name: String,
    /// In folded form.
    pub folded: String,
}

impl<S: Send + Sync> FromRequestParts<S> for NameQuery {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let Query(pairs) = Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|_| {
                Error::invalid(
                    "query",
                    "应为 URL 编码的键值对",
                    "must be URL-encoded key-value pairs",
                )
            })?;
        let name = pairs.into_iter().find(|(key, _)| key == "name");
        name.and_then(|(_, name)| Self::new(&name)).ok_or_else(|| {
            Error::invalid(
                "name",
                format!("应为 1 到 {MAX_NAME_CHARS} 个字符的名称"),
                format!("must be a name of 1 to {MAX_NAME_CHARS} characters"),
            )
        })
    }
}

impl NameQuery {
    fn new(name: &str) -> Option<Self> {
        let name = composed(name).trim().to_owned();
        let folded = folded(&name);
        let fits = name.chars().count() <= MAX_NAME_CHARS && !folded.is_empty() && !name.contains('\0');
        fits.then_some(Self { name, folded })
    }
}

/// Part of a name, in a body: 2 to 64 characters once it is trimmed and folded. One alone would list too many users.
#[derive(Clone)]
pub(crate) struct NamePart {
    /// As the request spells it.
    pub(crate) name: String,
    pub(crate) search: Search,
}

/// The shortest part of a name, characters.
const MIN_PART_CHARS: usize = 2;

impl NamePart {
    fn new(name: &str) -> Option<Self> {
        let NameQuery { name, folded } = NameQuery::new(name)?;
        let search = Search::new(&folded).filter(|_| folded.chars().count() >= MIN_PART_CHARS)?;
        Some(Self { name, search })
    }
}

impl<'de> Deserialize<'de> for NamePart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).ok_or_else(|| {
            broken(
                format_args!("应为 {MIN_PART_CHARS} 到 {MAX_NAME_CHARS} 个字符的姓名或其一部分"),
                format_args!(
                    "must be a name, or part of one, of {MIN_PART_CHARS} to {MAX_NAME_CHARS} characters"
                ),
            )
        })
    }
}

impl PartialSchema for NamePart {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "A name, or part of one. Case, full or half width and spaces between ideographs are ignored.",
            ))
            .min_length(Some(MIN_PART_CHARS))
            .max_length(Some(MAX_NAME_CHARS))
            .into()
    }
}

impl ToSchema for NamePart {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_something_to_see() {
        for good in ["a", " 仁心 ", "仁心\u{200b}", &"名".repeat(64)] {
            assert!(NameQuery::new(good).is_some(), "{good:?}");
        }
        for bad in ["", " ", "\u{200b}", "\u{3164}\u{2800}", "a\0", &"名".repeat(65)] {
            assert!(NameQuery::new(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_part_of_a_name_has_two_characters_to_see() {
        for good in ["王芳", " ab ", "ＡＢ", "王\u{3000}芳", "%_", &"名".repeat(64)] {
            assert!(NamePart::new(good).is_some(), "{good:?}");
        }
        for bad in ["", "王", "a ", "王\u{200b}", "ab\0", &"名".repeat(65)] {
            assert!(NamePart::new(bad).is_none(), "{bad:?}");
        }
    }
}
