//! Months of the calendar in Asia/Shanghai, whatever the machine's zone.

use std::fmt;

use jiff::{Timestamp, civil::Date, tz::Offset};

/// Since 1991 Asia/Shanghai has had no other offset.
const ZONE: Offset = Offset::constant(8);

/// A month, as year × 100 + month: 202612.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(i64);

impl Month {
    /// The month of a time, epoch milliseconds. Times beyond the calendar count as its first or last month.
    pub fn at(ms: i64) -> Self {
        let date = date_at(ms);
        Self(i64::from(date.year()) * 100 + i64::from(date.month()))
    }

    /// The month of a number of the database or of a path: 202612; `None` when there is no such month.
    pub fn new(number: i64) -> Option<Self> {
        let (year, month) = (number / 100, number % 100);
        ((1970..=9998).contains(&year) && (1..=12).contains(&month)).then_some(Self(number))
    }

    /// The plain number.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The month after.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(if self.0 % 100 == 12 {
            self.0 + 89
        } else {
            self.0 + 1
        })
    }

    /// The month before.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(if self.0 % 100 == 1 {
            self.0 - 89
        } else {
            self.0 - 1
        })
    }

    /// 00:00 on a day of the month, epoch milliseconds.
    pub fn day_ms(self, day: i8) -> i64 {
        let (year, month) = (self.0 / 100, self.0 % 100);
        let date = i16::try_from(year)
            .ok()
            .zip(i8::try_from(month).ok())
            .and_then(|(year, month)| Date::new(year, month, day).ok());
        date.and_then(|date| {
            ZONE.to_timestamp(date.to_datetime(jiff::civil::Time::midnight()))
                .ok()
        })
        .map_or(0, Timestamp::as_millisecond)
    }

    /// 00:00 on its first day, epoch milliseconds.
    pub fn from_ms(self) -> i64 {
        self.day_ms(1)
    }
}

/// The date of a time, epoch milliseconds.
fn date_at(ms: i64) -> Date {
    let end = if ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
    let time = Timestamp::from_millisecond(ms).unwrap_or(end);
    ZONE.to_datetime(time).date()
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0 / 100, self.0 % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn a_month_begins_at_midnight_in_shanghai() {
        assert_eq!(Month::at(ms("2026-11-30T15:59:59.999Z")).get(), 202_611);
        assert_eq!(Month::at(ms("2026-11-30T16:00:00Z")).get(), 202_612);
        assert_eq!(Month::at(ms("2026-12-31T16:00:00Z")).get(), 202_701);
        assert_eq!(Month::at(ms("2028-02-29T15:59:59.999Z")).get(), 202_802);
        assert_eq!(Month::at(ms("2028-02-29T16:00:00Z")).get(), 202_803);
        for outside in [i64::MIN, i64::MAX] {
            Month::at(outside);
        }
    }

    #[test]
    fn months_follow_each_other() {
        let december = Month::new(202_612).unwrap();
        assert_eq!(december.next().get(), 202_701);
        assert_eq!(december.next().previous(), december);
        assert_eq!(december.from_ms(), ms("2026-11-30T16:00:00Z"));
        assert_eq!(december.to_string(), "2026-12");
        for none in [0, 202_600, 202_613, 12, -202_612, i64::MAX] {
            assert_eq!(Month::new(none), None, "{none}");
        }
    }
}
