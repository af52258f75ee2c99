//! When income may be withdrawn: days 1 to 5 of a month in Asia/Shanghai.

use super::Month;

/// The window's first day of a month.
pub const FIRST_DAY: i8 = 1;
/// The window's last day of a month.
pub const LAST_DAY: i8 = 5;

/// A window for withdrawals: the one that is open, or the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Whether it is open.
    pub open: bool,
    /// Its month. It opens what was earned in the months before.
    pub month: Month,
    /// When it opens, epoch milliseconds.
    pub from_ms: i64,
    /// When it closes, epoch milliseconds, the first moment after it.
    pub to_ms: i64,
}

impl Window {
    /// The window at a time, epoch milliseconds.
    pub fn at(now_ms: i64) -> Self {
        let this = Self::of(Month::at(now_ms));
        if now_ms >= this.to_ms {
            return Self::of(this.month.next());
        }
        Self {
            open: now_ms >= this.from_ms,
            ..this
        }
    }

    fn of(month: Month) -> Self {
        Self {
            open: false,
            month,
            from_ms: month.day_ms(FIRST_DAY),
            to_ms: month.day_ms(LAST_DAY + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    /// A time, then: whether the window is open, and its month.
    #[test]
    fn the_window_is_open_from_the_first_to_the_end_of_the_fifth() {
        for (time, open, month) in [
            ("2026-11-30T23:59:59.999+08", false, 202_612),
            ("2026-12-01T00:00:00+08", true, 202_612),
            ("2026-12-05T23:59:59.999+08", true, 202_612),
            ("2026-12-06T00:00:00+08", false, 202_701),
            ("2026-12-31T23:59:59.999+08", false, 202_701),
            ("2027-01-01T00:00:00+08", true, 202_701),
            ("2028-02-29T23:59:59.999+08", false, 202_803),
            ("2028-03-01T00:00:00+08", true, 202_803),
        ] {
            let now_ms = time.parse::<Timestamp>().unwrap().as_millisecond();
            let window = Window::at(now_ms);
            assert_eq!((window.open, window.month.get()), (open, month), "{time}");
            assert_eq!(window.open, (window.from_ms..window.to_ms).contains(&now_ms));
            assert_eq!(window.to_ms - window.from_ms, 5 * 24 * 3_600_000);
        }
    }
}
