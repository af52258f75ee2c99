//! When an outage of a listener begins and ends. Pure.

use std::time::{Duration, Instant};

/// Without a failure for this long an outage is over. An exhausted process accepts a connection whenever another ends, so
/// one success proves nothing.
const CALM: Duration = Duration::from_secs(10);

/// The outage of one listener, if it has one.
#[derive(Debug, Default)]
pub(super) struct Outage(Option<Failing>);

#[derive(Clone, Copy, Debug)]
struct Failing {
    since: Instant,
    last: Instant,
    failures: u64,
}

/// An outage that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) failures: u64,
    /// From the first failure to the last.
    pub(super) lasted: Duration,
}

impl Outage {
    /// Records a failure. True when an outage begins with it.
    pub(super) fn fail(&mut self, now: Instant) -> bool {
        match &mut self.0 {
            Some(failing) => {
                failing.last = now;
                failing.failures += 1;
                false
            }
            None => {
                self.0 = Some(Failing {
                    since: now,
                    last: now,
                    failures: 1,
                });
                true
            }
        }
    }

    /// Records a success. It reads the clock during an outage only.
    pub(super) fn succeed(&mut self, now: impl FnOnce() -> Instant) -> Option<Ended> {
        let failing = self.0?;
        if now().saturating_duration_since(failing.last) < CALM {
            return None;
        }
        self.0 = None;
        Some(Ended {
            failures: failing.failures,
            lasted: failing.last.saturating_duration_since(failing.since),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_begins_once_and_ends_when_accepts_stay_well() {
        let begin = Instant::now();
        let at = |s: u64| begin + Duration::from_secs(s);
        let mut outage = Outage::default();
        assert_eq!(outage.succeed(|| unreachable!("no outage, no clock")), None);
        assert!(outage.fail(at(0)));
        assert!(!outage.fail(at(1)));
        assert_eq!(outage.succeed(|| at(5)), None);
        assert!(!outage.fail(at(6)), "one success ends no outage");
        assert_eq!(outage.succeed(|| at(15)), None);
        let ended = Ended {
            failures: 3,
            lasted: Duration::from_secs(6),
        };
        assert_eq!(outage.succeed(|| at(16)), Some(ended));
        assert_eq!(outage.succeed(|| unreachable!("it has ended")), None);
        assert!(outage.fail(at(20)));
    }
}
