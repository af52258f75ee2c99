//! Which day's bill is compared next.

use payment::Day;

const HOUR_MS: i64 = 3_600_000;
/// After midnight in Asia/Shanghai: providers have made the bill of the day before.
const MADE_MS: i64 = 10 * HOUR_MS + HOUR_MS / 2;
/// An empty bill is not late before.
const LATE_MS: i64 = 18 * HOUR_MS;
/// Providers keep bills for three months.
const KEPT_DAYS: usize = 90;

/// When a bill is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Now(Day),
    Later,
}

/// The day after the last one that was compared; else that of the first payment; else yesterday.
pub(super) fn next(last: Option<Day>, first_paid_ms: Option<i64>, now_ms: i64) -> Due {
    let yesterday = Day::at(now_ms).previous();
    let oldest = (0..KEPT_DAYS).fold(yesterday, |day, _| day.previous());
    let first = first_paid_ms.map_or(yesterday, Day::at);
    let day = last.map_or(first, Day::next).max(oldest);
    if day <= yesterday && now_ms >= day.next().from_ms() + MADE_MS {
        Due::Now(day)
    } else {
        Due::Later
    }
}

/// Whether an empty bill of a day is taken as such.
pub(super) fn is_late(day: Day, now_ms: i64) -> bool {
    now_ms >= day.next().from_ms() + LATE_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: i64) -> Day {
        Day::new(number).unwrap()
    }

    /// Of the 2nd of December 2026 in Shanghai.
    fn at(hour: i64, minute: i64) -> i64 {
        day(20_261_202).from_ms() + hour * HOUR_MS + minute * 60_000
    }

    #[test]
    fn a_bill_is_compared_on_the_day_after_when_it_is_made() {
        for (last, first_paid_ms, now_ms, due) in [
            (Some(20_261_130), None, at(10, 29), None),
            (Some(20_261_130), None, at(10, 30), Some(20_261_201)),
            (Some(20_261_201), None, at(23, 59), None),
            // Days without a running service are made good, one after the other.
            (Some(20_261_128), None, at(0, 0), Some(20_261_129)),
            (None, None, at(10, 30), Some(20_261_201)),
            (None, Some(day(20_261_130).from_ms()), at(9, 0), Some(20_261_130)),
            (None, Some(at(8, 0)), at(23, 0), None),
            // No provider keeps it any longer.
            (Some(20_250_101), None, at(12, 0), Some(20_260_902)),
        ] {
            let due_now = due.map_or(Due::Later, |number| Due::Now(day(number)));
            assert_eq!(
                next(last.map(day), first_paid_ms, now_ms),
                due_now,
                "{last:?} {now_ms}"
            );
        }
        assert!(!is_late(day(20_261_201), at(17, 59)));
        assert!(is_late(day(20_261_201), at(18, 0)));
    }
}
