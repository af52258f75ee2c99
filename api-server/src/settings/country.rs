//! Countries, by their phone numbers.

use std::str::FromStr;

/// The prefix of a country's phone numbers: `+86`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountryCode(String);

impl CountryCode {
    /// Whether a number in E.164 form is one of this country.
    pub(crate) fn has(&self, number: &str) -> bool {
        number[1..].starts_with(&self.0)
    }
}

impl Default for CountryCode {
    /// Mainland China.
    fn default() -> Self {
        Self("86".into())
    }
}

impl FromStr for CountryCode {
    type Err = String;

    /// The + is optional: in a settings file `86` is a number.
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix('+').unwrap_or(text);
        let is_prefix = (1..=7).contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit())
            && !digits.starts_with('0');
        if is_prefix {
            Ok(Self(digits.to_owned()))
        } else {
            Err(format!("{text:?} is no beginning of phone numbers, such as +86"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_has_the_numbers_that_begin_with_it() {
        for text in ["+86", "86", "+8613"] {
            let country: CountryCode = text.parse().unwrap();
            assert!(country.has("+8613800138000"), "{text}");
            assert!(!country.has("+442079460018"), "{text}");
        }
        for bad in ["", "+", "+0", "++86", "China", "+86x", "+12345678", "８６"] {
            assert!(bad.parse::<CountryCode>().is_err(), "{bad}");
        }
    }
}
