//! How long to wait before coming back. Pure.

use std::time::Duration;

/// Delays that double from attempt to attempt, with jitter, so that many clients that lost their node together do not
/// come back together.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The longest delay before the first attempt.
    pub first: Duration,
    /// The longest delay at all.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
        }
    }
}

impl Backoff {
    /// The delay before attempt number `failures` + 1. `told` is what the node asked for: never come back before it.
    /// `random` in 0..1 spreads the delay over the upper half of the doubled time.
    pub fn delay(&self, failures: u32, told: Duration, random: f64) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.min(16)).min(self.longest);
        let jittered = doubled.mul_f64(0.5 + 0.5 * random.clamp(0.0, 1.0));
        // What a node asks for is spread by the node already.
        if told.is_zero() {
            jittered
        } else {
            told.max(if failures == 0 { Duration::ZERO } else { jittered })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_longest() {
        let backoff = Backoff::default();
        let delays: Vec<u64> = (0..9)
            .map(|failures| backoff.delay(failures, Duration::ZERO, 1.0).as_millis() as u64)
            .collect();
        assert_eq!(delays, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
        assert_eq!(backoff.delay(u32::MAX, Duration::ZERO, 1.0), backoff.longest);
    }

    #[test]
    fn jitter_takes_up_to_half() {
        let backoff = Backoff::default();
        assert_eq!(backoff.delay(1, Duration::ZERO, 0.0), Duration::from_millis(500));
        assert_eq!(backoff.delay(1, Duration::ZERO, 0.5), Duration::from_millis(750));
    }

    #[test]
    fn never_comes_back_before_the_time_the_node_asked_for() {
        let backoff = Backoff::default();
        let told = Duration::from_millis(1234);
        assert_eq!(backoff.delay(0, told, 0.9), told);
        assert_eq!(
            backoff.delay(1, Duration::from_secs(60), 0.9),
            Duration::from_secs(60)
        );
        assert!(backoff.delay(5, told, 0.0) >= Duration::from_secs(8));
    }
}
