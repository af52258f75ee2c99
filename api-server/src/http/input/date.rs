//! Dates of birth.

use jiff::{Timestamp, civil::Date, tz};
use serde::{Deserialize, Deserializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, schema::Type},
};

use super::broken;
use crate::clock::now_ms;

/// The first year of birth that is accepted.
const FIRST_YEAR: i16 = 1900;

/// A date of birth, `YYYY-MM-DD`: 1900 to today in Asia/Shanghai.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BirthDate(Date);

impl BirthDate {
    /// Parses a date that is not after the day of `now_ms`.
    pub fn parse(text: &str, now_ms: i64) -> Option<Self> {
        let date: Date = text.parse().ok()?;
        let now = Timestamp::from_millisecond(now_ms).ok()?;
        // Asia/Shanghai has been eight hours ahead of UTC since 1991.
        let today = tz::offset(8).to_datetime(now).date();
        // Exactly one form: the parser accepts others too.
        let fits = date.to_string() == text && date.year() >= FIRST_YEAR && date <= today;
        fits.then_some(Self(date))
    }

    /// Full years on the day of `now_ms`.
    pub fn age_years(self, now_ms: i64) -> u32 {
        let Ok(now) = Timestamp::from_millisecond(now_ms) else {
            return 0;
        };
        let today = tz::offset(8).to_datetime(now).date();
        let had_birthday = (today.month(), today.day()) >= (self.0.month(), self.0.day());
        let years = today.year() - self.0.year() - i16::from(!had_birthday);
        u32::try_from(years).unwrap_or(0)
    }
}

impl std::fmt::Display for BirthDate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for BirthDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?, now_ms()).ok_or_else(|| {
            broken(
                format_args!("应为 {FIRST_YEAR}-01-01 到今天的日期，格式为 YYYY-MM-DD"),
                format_args!("must be a date from {FIRST_YEAR}-01-01 to today, as YYYY-MM-DD"),
            )
        })
    }
}

impl PartialSchema for BirthDate {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Date)))
            .description(Some(format!(
                "From {FIRST_YEAR}-01-01 to today in Asia/Shanghai."
            )))
            .pattern(Some("^(19|[2-9][0-9])[0-9]{2}-[0-9]{2}-[0-9]{2}$"))
            .examples(["1990-05-17"])
            .into()
    }
}

impl ToSchema for BirthDate {}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-24 23:30 in Shanghai, 15:30 UTC.
    const NOW_MS: i64 = 1_795_534_200_000;

    #[test]
    fn an_age_is_in_full_years_on_the_day() {
        let age = |date| BirthDate::parse(date, NOW_MS).unwrap().age_years(NOW_MS);
        for (date, years) in [
            ("2026-11-24", 0),
            ("2025-11-25", 0),
            ("2025-11-24", 1),
            ("2000-02-29", 26),
            ("1990-12-01", 35),
            ("1900-01-01", 126),
        ] {
            assert_eq!(age(date), years, "{date}");
        }
    }

    #[test]
    fn a_date_is_a_day_that_was_in_one_form() {
        for good in ["1900-01-01", "2000-02-29", "2026-11-24"] {
            assert_eq!(BirthDate::parse(good, NOW_MS).unwrap().to_string(), good);
        }
        for bad in [
            "",
            "1899-12-31",
            "2026-11-25",
            "2001-02-29",
            "2000-13-01",
            "20000101",
            "2000-1-1",
            "2000-01-01T00:00:00",
            "+002000-01-01",
            " 2000-01-01",
        ] {
            assert_eq!(BirthDate::parse(bad, NOW_MS), None, "{bad}");
        }
        // Half an hour later it is the next day in Shanghai, not yet in UTC.
        assert!(BirthDate::parse("2026-11-25", NOW_MS + 30 * 60 * 1000).is_some());
    }
}
