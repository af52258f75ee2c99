//! Months, as `2026-12`.

use std::borrow::Cow;

use ledger::Month;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, schema::Type};

use crate::http::error::Error;

/// Parses a month in its one form.
pub(crate) fn parse(text: &str) -> Option<Month> {
    let (year, month) = text.split_once('-')?;
    let year: i64 = year.parse().ok().filter(|year| (1970..=2999).contains(year))?;
    let number = year * 100;
    let found = Month::new(number.checked_add(month.parse().ok()?)?)?;
    // Other spellings would be other keys of caches.
    (found.to_string() == text).then_some(found)
}

/// The refusal of another text.
pub(crate) fn refusal(field: impl Into<Cow<'static, str>>) -> Error {
    Error::invalid(
        field,
        "应为月份，格式为 YYYY-MM，例如 2026-12",
        "must be a month as YYYY-MM, such as 2026-12",
    )
}

/// Its schema.
pub(crate) fn schema() -> RefOr<Schema> {
    schema_of("^(19[7-9][0-9]|2[0-9]{3})-(0[1-9]|1[0-2])$")
}

/// The schema of a month before one that is taken: of the first one, that is December 1969.
pub(crate) fn schema_before() -> RefOr<Schema> {
    schema_of("^(19[6-9][0-9]|2[0-9]{3})-(0[1-9]|1[0-2])$")
}

fn schema_of(pattern: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("A month in Beijing time."))
        .pattern(Some(pattern))
        .examples(["2026-12"])
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_has_one_form() {
        for good in ["2026-12", "1970-01", "2999-12"] {
            assert_eq!(parse(good).unwrap().to_string(), good);
        }
        for bad in [
            "",
            "-",
            "2026",
            "202612",
            "2026-1",
            "2026-13",
            "2026-00",
            "2026-012",
            "+2026-12",
            "2026-+1",
            " 2026-12",
            "2026-12 ",
            "2026-12-01",
            "1969-12",
            "9999-01",
            "0000-00",
            "92233720368547758-07",
            "２０２６-12",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
