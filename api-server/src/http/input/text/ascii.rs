//! Texts of programs: tokens and types in printable ASCII, and device ids of at most 64 bytes.

use std::{fmt, ops::Deref};

use proto::ids::MAX_DEVICE_ID_BYTES;
use serde::{Deserialize, Deserializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

use super::{super::broken, clean};

/// `MIN` to `MAX` printable ASCII characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Ascii<const MIN: usize, const MAX: usize>(String);

impl<const MIN: usize, const MAX: usize> Ascii<MIN, MAX> {
    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl<const MIN: usize, const MAX: usize> Deref for Ascii<MIN, MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Shows the length only: it may be a secret.
impl<const MIN: usize, const MAX: usize> fmt::Debug for Ascii<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ascii({} bytes)", self.0.len())
    }
}

impl<'de, const MIN: usize, const MAX: usize> Deserialize<'de> for Ascii<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if (MIN..=MAX).contains(&text.len()) && text.bytes().all(|b| matches!(b, b' '..=b'~')) {
            return Ok(Self(text));
        }
        Err(broken(
            format_args!("应为 {MIN} 到 {MAX} 个可打印的 ASCII 字符"),
            format_args!("must have {MIN} to {MAX} printable ASCII characters"),
        ))
    }
}

impl<const MIN: usize, const MAX: usize> PartialSchema for Ascii<MIN, MAX> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(MIN))
            .max_length(Some(MAX))
            .pattern(Some("^[ -~]+$"))
            .into()
    }
}

impl<const MIN: usize, const MAX: usize> ToSchema for Ascii<MIN, MAX> {
    fn name() -> std::borrow::Cow<'static, str> {
        format!("Ascii{MIN}To{MAX}").into()
    }
}

/// An app's id of its installation, measured in bytes as on the wire. The wire compares it byte by byte, so that an id which
/// would need cleaning is refused instead.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceId(String);

impl DeviceId {
    fn new(text: String) -> Option<Self> {
        let fits = (1..=MAX_DEVICE_ID_BYTES).contains(&text.len())
            && clean::line(&text, 1, MAX_DEVICE_ID_BYTES).is_ok_and(|line| line == text);
        fits.then_some(Self(text))
    }
}

impl Deref for DeviceId {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<'de> Deserialize<'de> for DeviceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).ok_or_else(|| {
            broken(
                format_args!("应为 1 到 {MAX_DEVICE_ID_BYTES} 字节的一行文字，首尾无空白，不含控制字符和不可见字符"),
                format_args!(
                    "must be one line of 1 to {MAX_DEVICE_ID_BYTES} bytes, without surrounding spaces, control characters or invisible characters"
                ),
            )
        })
    }
}

impl PartialSchema for DeviceId {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(MAX_DEVICE_ID_BYTES))
            .description(Some(format!("At most {MAX_DEVICE_ID_BYTES} bytes of UTF-8.")))
            .into()
    }
}

impl ToSchema for DeviceId {}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_token(text: &str) -> bool {
        serde_json::from_value::<Ascii<1, 8>>(text.into()).is_ok()
    }

    #[test]
    fn a_token_is_printable_ascii() {
        for good in ["a", "a b", "~!@#$%^&", "12345678"] {
            assert!(is_token(good), "{good}");
        }
        for bad in [
            "",
            "123456789",
            "a\n",
            "\t",
            "\0",
            "\u{7f}",
            "é",
            "令牌",
            "\u{200b}",
        ] {
            assert!(!is_token(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_device_id_is_counted_in_bytes_and_never_changed() {
        for good in ["a", "phone 1", "手机", &"x".repeat(64), &"机".repeat(21), "é"] {
            assert_eq!(DeviceId::new(good.into()).as_deref(), Some(good));
        }
        for bad in [
            "",
            &"x".repeat(65),
            &"机".repeat(22),
            " a",
            "a\n",
            "e\u{301}",
            "a\u{200b}",
            "\0",
            "a\u{1b}[2J",
        ] {
            assert_eq!(DeviceId::new(bad.into()), None, "{bad:?}");
        }
    }
}
