//! URLs of settings.

use std::ops::Deref;

use serde::{Deserialize, Deserializer, de::Error};
use url::Url;

/// The refusal of another text, which may hold a credential.
pub(super) const NOT_A_URL: &str = "not a URL";

/// A URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address(Url);

impl Address {
    /// Of a text of this crate.
    pub(crate) fn constant(text: &str) -> Self {
        Self(Url::parse(text).unwrap_or_else(|_| unreachable!("a constant URL")))
    }
}

impl Deref for Address {
    type Target = Url;

    fn deref(&self) -> &Url {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Url::parse(&text)
            .map(Self)
            .map_err(|_| D::Error::custom(NOT_A_URL))
    }
}
