//! When to send, and who. Pure.

use std::time::Duration;

/// How a run is paced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// This many sends a second whether or not the last ones were answered; each is timed from when it was due.
    Open {
        /// Over all conversations.
        per_second: f64,
    },
    /// This many sends in flight over all conversations; one is in flight until each member has it.
    Outstanding {
        /// How many.
        window: u32,
    },
    /// This many sends in flight of the first member of each conversation, each until it is acknowledged.
    Windows {
        /// How many.
        window: u32,
    },
}

/// How a report words the way of sending.
impl Pace {
    /// A description for reports.
    pub fn method(self) -> String {
        match self {
            Self::Open { per_second } => format!(
                "open loop at {per_second:.0} sends/s; times from when a send was due (coordinated omission corrected)"
            ),
            Self::Outstanding { window } => format!(
                "saturated: closed loop with {window} sends on their way at once, each until every member has it"
            ),
            Self::Windows { window } => format!(
                "closed loop: {window} sends of one member of each conversation on their way at once, each until it is acknowledged"
            ),
        }
    }
}

/// The sends of an open loop that are due: in steps of a millisecond, which is as fine as timers are.
#[derive(Clone, Debug)]
pub struct Schedule {
    per_second: f64,
    step: u64,
    given: u64,
    last_step: u64,
}

/// Sends that were due at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// When, µs since the start.
    pub at_us: u64,
    /// How many.
    pub count: u64,
}

impl Schedule {
    /// This many a second for this long.
    pub fn new(per_second: f64, length: Duration) -> Self {
        Self {
            per_second,
            step: 0,
            given: 0,
            last_step: length.as_millis() as u64,
        }
    }

    /// The next moment up to `now_us` at which sends were due; none when there is none left.
    pub fn next(&mut self, now_us: u64) -> Option<Due> {
        while self.step < self.last_step && self.step * 1000 <= now_us {
            let at_us = self.step * 1000;
            self.step += 1;
            let due = (self.per_second * self.step as f64 / 1000.0) as u64;
            let count = due - self.given;
            self.given = due;
            if count > 0 {
                return Some(Due { at_us, count });
            }
        }
        None
    }
}

/// Chance that can be repeated.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(super::received::mixed(seed))
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        // The upper half of the product: even enough for bounds of this size.
        ((u128::from(super::received::mixed(self.0)) * bound as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_due_once_however_late_one_looks() {
        for looks in [
            vec![10_000_000],
            (0..10_000).map(|ms| ms * 1000).collect::<Vec<u64>>(),
        ] {
            let mut schedule = Schedule::new(2500.0, Duration::from_secs(2));
            let mut count = 0;
            let mut last = 0;
            for now in looks {
                while let Some(due) = schedule.next(now) {
                    assert!(due.at_us >= last && due.at_us <= now);
                    last = due.at_us;
                    count += due.count;
                }
            }
            assert_eq!(count, 5000);
            assert!(last < 2_000_000);
        }
    }

    #[test]
    fn slow_rates_are_kept_too() {
        let mut schedule = Schedule::new(0.5, Duration::from_secs(10));
        let mut times = Vec::new();
        while let Some(due) = schedule.next(u64::MAX / 2) {
            times.push(due.at_us / 1000);
        }
        assert_eq!(times, [1999, 3999, 5999, 7999, 9999]);
    }

    #[test]
    fn chance_repeats_itself_and_reaches_everybody() {
        let draw = |seed| {
            let mut chance = Chance::new(seed);
            (0..200).map(|_| chance.below(7)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        for number in 0..7 {
            assert!(draw(1).contains(&number));
        }
    }
}
