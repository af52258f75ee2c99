//! Rates of one session.

use std::{num::NonZeroU32, time::Duration};

/// Admits one event a second.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OncePerSecond {
    /// The last admitted event, [`crate::clock::uptime_ms`].
    last_ms: Option<NonZeroU32>,
}

impl OncePerSecond {
    // protocol: "passed on once a second"
    pub(crate) fn passes(&mut self, now_ms: i64) -> bool {
        let now_ms = now_ms as u32;
        let passes = self
            .last_ms
            .is_none_or(|last_ms| now_ms.wrapping_sub(last_ms.get()) >= 1_000);
        if passes {
            self.last_ms = NonZeroU32::new(now_ms).or(Some(NonZeroU32::MIN));
        }
        passes
    }
}

/// A token bucket of one session, with a burst of five seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    tokens: f32,
    at_ms: u32,
}

/// Seconds of tokens that a full bucket holds.
const BURST_S: f32 = 5.0;

impl Bucket {
    pub(crate) fn full(per_second: u32, now_ms: i64) -> Self {
        Self {
            tokens: per_second as f32 * BURST_S,
            at_ms: now_ms as u32,
        }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// The time until the next token.
    pub(crate) fn take(&mut self, per_second: u32, now_ms: i64) -> Result<(), Duration> {
        // The low 32 bits suffice for a difference.
        let elapsed_ms = (now_ms as u32).wrapping_sub(self.at_ms).min(60_000);
        self.at_ms = now_ms as u32;
        let rate = per_second as f32;
        self.tokens = (self.tokens + elapsed_ms as f32 * rate / 1000.0).min(rate * BURST_S);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            Ok(())
        } else {
            let wait_ms = ((1.0 - self.tokens) * 1000.0 / rate).ceil() as u64;
            Err(Duration::from_millis(wait_ms.max(1)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_five_seconds_at_once_and_then_its_rate() {
        let mut bucket = Bucket::full(10, 1_000);
        let at_once = (0..100).take_while(|_| bucket.take(10, 1_000).is_ok()).count();
        assert_eq!(at_once, 50);
        let wait = bucket.take(10, 1_000).unwrap_err();
        assert_eq!(wait, Duration::from_millis(100));
        assert!(bucket.take(10, 1_100).is_ok());
        assert!(bucket.take(10, 1_100).is_err());
    }

    #[test]
    fn once_per_second_is_once_per_second() {
        let mut gate = OncePerSecond::default();
        let passed: Vec<i64> = (0..3_500)
            .step_by(10)
            .filter(|now_ms| gate.passes(*now_ms))
            .collect();
        assert_eq!(passed.len(), 4, "{passed:?}");
        assert!(passed.is_sorted_by(|one, next| next - one >= 999));
    }

    #[test]
    fn the_low_bits_of_the_clock_may_wrap() {
        let before = i64::from(u32::MAX) - 10;
        let mut bucket = Bucket::full(1, before);
        while bucket.take(1, before).is_ok() {}
        assert!(bucket.take(1, before + 2_000).is_ok());
    }
}
