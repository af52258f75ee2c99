//! Text of a limited length.

use std::{fmt, ops::Deref};

use serde::{Deserialize, Deserializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

use super::broken;

/// Text of `MIN` to `MAX` characters without NUL. With `MIN` above 0 it is not only white space.
#[derive(Clone, PartialEq, Eq)]
pub struct Text<const MIN: usize, const MAX: usize>(String);

impl<const MIN: usize, const MAX: usize> Text<MIN, MAX> {
    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }

    /// Text from outside: none when it breaks the rule.
    pub fn new(text: String) -> Option<Self> {
        let fits = (MIN..=MAX).contains(&text.chars().count())
            && !text.contains('\0')
            && (MIN == 0 || !text.trim().is_empty());
        fits.then_some(Self(text))
    }

    /// The rule, in Chinese and in English.
    pub(super) fn rule() -> (String, String) {
        (
            format!("应为 {MIN} 到 {MAX} 个字符，不含 NUL"),
            format!("it must have {MIN} to {MAX} characters, without NUL"),
        )
    }
}

impl<const MIN: usize, const MAX: usize> Deref for Text<MIN, MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// The length alone: what people write stays out of logs.
impl<const MIN: usize, const MAX: usize> fmt::Debug for Text<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}

impl<'de, const MIN: usize, const MAX: usize> Deserialize<'de> for Text<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).ok_or_else(|| {
            let (zh, en) = Self::rule();
            broken(zh, en)
        })
    }
}

impl<const MIN: usize, const MAX: usize> PartialSchema for Text<MIN, MAX> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length((MIN > 0).then_some(MIN))
            .max_length(Some(MAX))
            .pattern((MIN > 0).then_some("\\S"))
            .into()
    }
}

impl<const MIN: usize, const MAX: usize> ToSchema for Text<MIN, MAX> {
    fn name() -> std::borrow::Cow<'static, str> {
        format!("Text{MIN}To{MAX}").into()
    }
}
