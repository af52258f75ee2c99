//! Phone numbers in E.164 form.

use std::fmt;

use serde::{Deserialize, Deserializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

use crate::http::input::broken;

/// A phone number in E.164 form: `+8613800138000`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Phone(String);

impl Phone {
    /// Parses a number as users write it. Without a country code it is one of mainland China.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let plain: String = text
            .trim()
            .chars()
            .filter(|c| !matches!(c, ' ' | '-' | '(' | ')'))
            .collect();
        let (digits, international) = match plain.strip_prefix('+').or_else(|| plain.strip_prefix("00")) {
            Some(digits) => (digits, true),
            None => (plain.as_str(), false),
        };
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let chinese = |digits: &str| digits.len() == 11 && digits.starts_with('1');
        if !international {
            let national = digits
                .strip_prefix("86")
                .filter(|rest| chinese(rest))
                .unwrap_or(digits);
            return chinese(national).then(|| Self(format!("+86{national}")));
        }
        let valid = match digits.strip_prefix("86") {
            Some(national) => chinese(national),
            None => (7..=15).contains(&digits.len()) && !digits.starts_with('0'),
        };
        valid.then(|| Self(format!("+{digits}")))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Shows the last two digits only: numbers stay out of logs.
impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Phone(…{})", &self.0[self.0.len() - 2..])
    }
}

impl<'de> Deserialize<'de> for Phone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).ok_or_else(|| {
            broken(
                "应为 11 位手机号，或以 + 和国家代码开头的号码",
                "must be a mobile number of 11 digits, or a number that begins with + and the country code",
            )
        })
    }
}

/// Numbers of mainland China, with or without the country code, and E.164 numbers of other countries. The contract leaves
/// out separators between digits: an app sends digits.
const PATTERN: &str = "^((\\+?86)?1[0-9]{10}|\\+([1-79][0-9]{6,14}|8[0-57-9][0-9]{5,13}))$";
/// Of [`Phone::as_str`].
const SHOWN_PATTERN: &str = "^\\+(861[0-9]{10}|[1-79][0-9]{6,14}|8[0-57-9][0-9]{5,13})$";

impl PartialSchema for Phone {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "A phone number; without a country it is one of mainland China. Spaces, hyphens and parentheses that a person typed are accepted as well.",
            ))
            .pattern(Some(PATTERN))
            .examples(["13800138000", "+8613800138000"])
            .into()
    }
}

impl ToSchema for Phone {}

/// Documents a phone number in an answer.
pub(crate) struct PhoneShown;

impl PartialSchema for PhoneShown {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("A phone number in E.164 form."))
            .pattern(Some(SHOWN_PATTERN))
            .into()
    }
}

impl ToSchema for PhoneShown {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_has_one_form() {
        for text in [
            "13800138000",
            " 138-0013-8000 ",
            "+86 138 0013 8000",
            "8613800138000",
            "008613800138000",
            "(+86)13800138000",
        ] {
            assert_eq!(Phone::parse(text).unwrap().as_str(), "+8613800138000", "{text}");
        }
        assert_eq!(
            Phone::parse("+44 20 7946 0018").unwrap().as_str(),
            "+442079460018"
        );
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "",
            "+",
            "1380013800",
            "138001380000",
            "23800138000",
            "1380013800x",
            "+8612345",
            "+0123456789",
            "+1234567890123456",
            "１３８００１３８０００",
            "13800138000\0",
        ] {
            assert!(Phone::parse(text).is_none(), "{text:?}");
        }
    }

    /// The documented pattern accepts the phones that the parser accepts; the second one accepts the phones of answers.
    #[test]
    fn the_patterns_are_of_what_is_read() {
        let (asked, shown) = (
            regex::Regex::new(PATTERN).unwrap(),
            regex::Regex::new(SHOWN_PATTERN).unwrap(),
        );
        let begins = [
            "", "+", "86", "+86", "+8", "+85", "+1", "+0", "+7", "00", "0086", "1", "+861", "861", "2",
            "+862",
        ];
        let digits = "13800138000123456";
        for begin in begins {
            for length in 0..=digits.len() {
                let text = format!("{begin}{}", &digits[..length]);
                let read = Phone::parse(&text);
                // The parser accepts the prefix 00 beyond the contract.
                if !text.starts_with("00") {
                    assert_eq!(read.is_some(), asked.is_match(&text), "{text}");
                }
                if let Some(phone) = read {
                    assert!(shown.is_match(phone.as_str()), "{text}");
                    assert!(asked.is_match(phone.as_str()), "{text}");
                }
            }
        }
    }

    #[test]
    fn a_number_does_not_show_in_logs() {
        assert_eq!(
            format!("{:?}", Phone::parse("13800138042").unwrap()),
            "Phone(…42)"
        );
    }
}
