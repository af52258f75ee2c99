//! Text of a limited length, of one line or several.

mod ascii;
mod clean;
mod fold;
mod gram;
mod name;
mod unicode;

use std::{fmt, ops::Deref};

use serde::{Deserialize, Deserializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

pub use ascii::{Ascii, DeviceId};
use clean::Fault;
pub use fold::folded;
pub(crate) use gram::{Search, pieces};
pub use name::NameQuery;
pub(crate) use name::{Name, NamePart};

use super::broken;

/// One line of `MIN` to `MAX` characters, such as a name: NFC, trimmed, all visible.
#[derive(Clone, PartialEq, Eq)]
pub struct Line<const MIN: usize, const MAX: usize>(String);

/// Text of `MIN` to `MAX` characters on any number of lines: NFC, without controls, visible unless `MIN` is 0.
#[derive(Clone, PartialEq, Eq)]
pub struct Text<const MIN: usize, const MAX: usize>(String);

impl<const MIN: usize, const MAX: usize> Line<MIN, MAX> {
    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }

    /// Cleans and checks a line.
    ///
    /// # Errors
    /// The rule that it breaks, in Chinese and in English.
    pub fn new(text: &str) -> Result<Self, (String, String)> {
        clean::line(text, MIN, MAX)
            .map(Self)
            .map_err(|fault| match fault {
                Fault::Length => (
                    format!("应为 {MIN} 到 {MAX} 个字符的一行文字"),
                    format!("must be one line of {MIN} to {MAX} characters"),
                ),
                Fault::Character(c) => refused(c),
            })
    }
}

impl<const MIN: usize, const MAX: usize> Text<MIN, MAX> {
    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }

    /// Cleans and checks a text.
    ///
    /// # Errors
    /// The rule that it breaks, in Chinese and in English.
    pub fn new(text: &str) -> Result<Self, (String, String)> {
        clean::lines(text, MIN, MAX)
            .map(Self)
            .map_err(|fault| match fault {
                Fault::Length => (
                    format!("应为 {MIN} 到 {MAX} 个字符"),
                    format!("must have {MIN} to {MAX} characters"),
                ),
                Fault::Character(c) => refused(c),
            })
    }
}

/// The rule that a character breaks. The sentence names its code point: the character may be invisible.
pub(super) fn refused(c: char) -> (String, String) {
    let number = u32::from(c);
    (
        format!("不能含有字符 U+{number:04X}：控制字符、不可见字符和未定义的字符不予接受"),
        format!(
            "must not contain U+{number:04X}: control characters, invisible characters and unassigned characters are not accepted"
        ),
    )
}

macro_rules! text_of {
    ($name:ident) => {
        impl<const MIN: usize, const MAX: usize> Deref for $name<MIN, MAX> {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        /// Shows the length only: users' text stays out of logs.
        impl<const MIN: usize, const MAX: usize> fmt::Debug for $name<MIN, MAX> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({} bytes)", stringify!($name), self.0.len())
            }
        }

        impl<'de, const MIN: usize, const MAX: usize> Deserialize<'de> for $name<MIN, MAX> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(&String::deserialize(deserializer)?).map_err(|(zh, en)| broken(zh, en))
            }
        }

        impl<const MIN: usize, const MAX: usize> PartialSchema for $name<MIN, MAX> {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .min_length((MIN > 0).then_some(MIN))
                    .max_length(Some(MAX))
                    .pattern((MIN > 0).then_some("\\S"))
                    .into()
            }
        }

        impl<const MIN: usize, const MAX: usize> ToSchema for $name<MIN, MAX> {
            fn name() -> std::borrow::Cow<'static, str> {
                format!(concat!(stringify!($name), "{}To{}"), MIN, MAX).into()
            }
        }
    };
}

text_of!(Line);
text_of!(Text);
