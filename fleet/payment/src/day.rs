//! Days of bills, in Asia/Shanghai.

use std::fmt;

use jiff::{Timestamp, civil::Date, tz::Offset};

/// Since 1991 Asia/Shanghai has had no other offset.
pub(crate) const ZONE: Offset = Offset::constant(8);

/// A day in Asia/Shanghai, as year × 10000 + month × 100 + day: 20261231.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(Date);

impl Day {
    /// The day of a time, epoch milliseconds. Times beyond the calendar count as its first or last day.
    pub fn at(ms: i64) -> Self {
        let end = if ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
        let time = Timestamp::from_millisecond(ms).unwrap_or(end);
        Self(ZONE.to_datetime(time).date())
    }

    /// The day of a number of the database or of a path: 20261231; `None` when there is no such day.
    pub fn new(number: i64) -> Option<Self> {
        let year = i16::try_from(number / 10_000).ok()?;
        let month = i8::try_from(number / 100 % 100).ok()?;
        let day = i8::try_from(number % 100).ok()?;
        let date = Date::new(year, month, day).ok()?;
        (1970..=9998).contains(&year).then_some(Self(date))
    }

    /// The plain number.
    pub fn get(self) -> i64 {
        i64::from(self.0.year()) * 10_000 + i64::from(self.0.month()) * 100 + i64::from(self.0.day())
    }

    /// The day before. The first day of the calendar has none and stays.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0.yesterday().unwrap_or(self.0))
    }

    /// The day after. The last day of the calendar has none and stays.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.tomorrow().unwrap_or(self.0))
    }

    /// 00:00 of it, epoch milliseconds.
    pub fn from_ms(self) -> i64 {
        let midnight = self.0.to_datetime(jiff::civil::Time::midnight());
        ZONE.to_timestamp(midnight).map_or(0, Timestamp::as_millisecond)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_in_shanghai() {
        let ms = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        assert_eq!(Day::at(ms("2028-02-29T15:59:59.999Z")).get(), 20_280_229);
        assert_eq!(Day::at(ms("2028-02-29T16:00:00Z")).get(), 20_280_301);
        let new_year = Day::new(20_270_101).unwrap();
        assert_eq!(new_year.from_ms(), ms("2026-12-31T16:00:00Z"));
        assert_eq!(new_year.previous().get(), 20_261_231);
        assert_eq!(new_year.previous().next(), new_year);
        assert_eq!(new_year.to_string(), "2027-01-01");
        for outside in [i64::MIN, i64::MAX] {
            assert!(Day::at(outside).previous() <= Day::at(outside).next());
        }
    }

    #[test]
    fn numbers_that_are_no_day_are_refused() {
        for number in [
            0,
            20_261_301,
            20_260_230,
            20_260_100,
            202_612,
            -20_261_231,
            i64::MAX,
        ] {
            assert_eq!(Day::new(number), None, "{number}");
        }
    }
}
