//! The rate of log lines: an event that may come thousands of times a second gets a line now and then, with the number
//! of those without one.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// At most one line in each period. Put it into a `static` beside the event.
#[derive(Debug)]
pub struct Rate {
    period: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    last: Option<Instant>,
    unlogged: u64,
}

impl Rate {
    /// One line in `period`.
    #[must_use]
    pub const fn every(period: Duration) -> Self {
        let state = State {
            last: None,
            unlogged: 0,
        };
        Self {
            period,
            state: Mutex::new(state),
        }
    }

    /// Counts an event. `Some` when it may be logged: the number of events since the last line that had none.
    pub fn line(&self) -> Option<u64> {
        self.line_at(Instant::now())
    }

    fn line_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        if state
            .last
            .is_some_and(|last| now.saturating_duration_since(last) < self.period)
        {
            state.unlogged += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.unlogged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_has_a_line_in_each_period_and_is_counted() {
        let rate = Rate::every(Duration::from_secs(10));
        let begin = Instant::now();
        let at = |ms: u64| begin + Duration::from_millis(ms);
        assert_eq!(rate.line_at(at(0)), Some(0));
        for ms in 1..=9_999 {
            assert_eq!(rate.line_at(at(ms)), None);
        }
        assert_eq!(rate.line_at(at(10_000)), Some(9_999));
        assert_eq!(rate.line_at(at(10_001)), None);
        assert_eq!(rate.line_at(at(30_000)), Some(1));
    }
}
