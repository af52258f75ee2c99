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
    // protocol: "a broken connection, a failed attempt, a Bye 1–199 without"
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
        }
    }
}

impl Backoff {
    // protocol: "a Bye 1–199 with retry_after_ms | so long"
    /// The delay before attempt number `failures` + 1. `asked` is the node's retry_after: never come back before it.
    /// `random` in 0..1 spreads the delay over the upper half of the doubled time.
    pub fn delay(&self, failures: u32, asked: Duration, random: f64) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.min(16)).min(self.longest);
        let jittered = doubled.mul_f64(0.5 + 0.5 * random.clamp(0.0, 1.0));
        // A node spreads the pauses that it asks for.
        if asked.is_zero() {
            jittered
        } else {
            asked.max(if failures == 0 { Duration::ZERO } else { jittered })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::settings::Settings;
    use crate::client::state::{DEFAULT_PAUSE, NO_PASSWORD_PAUSE, PASSWORD_MARGIN, RENEW_AFTER};
    use crate::wire::Platform;

    #[test]
    fn doubles_up_to_the_longest() {
        let backoff = Backoff::default();
        let delays: Vec<u64> = (0..9)
            .map(|failures| backoff.delay(failures, Duration::ZERO, 1.0).as_millis() as u64)
            .collect();
        assert_eq!(delays, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
        assert_eq!(backoff.delay(u32::MAX, Duration::ZERO, 1.0), backoff.longest);
    }

    /// docs/protocol.md promises these delays to the writers of other clients.
    // protocol: "a broken connection, a failed attempt, a Bye 1–199 without"
    // protocol: "connecting, TLS included, takes too long"
    // protocol: "no answer to Login | 10 s"
    // protocol: "no answer to a Send, Sync or Ping | 15 s"
    // protocol: "Error UNAVAILABLE or RATE_LIMITED without"
    // protocol: "a password before it expires | renewed"
    // protocol: "no password to be had for Renew"
    #[test]
    fn the_document_has_the_same_delays() {
        let document = include_str!("../../../../docs/protocol.md");
        let backoff = Backoff::default();
        let settings = Settings::new(1, "device", Platform::Ios);
        for row in [
            format!(
                "| a broken connection, a failed attempt, a Bye 1–199 without `retry_after_ms` | {} s, doubled with each failure up to {} s; of that at random the upper half |",
                backoff.first.as_secs_f64(),
                backoff.longest.as_secs()
            ),
            format!(
                "| connecting, TLS included, takes too long | {} s |",
                settings.connect_timeout.as_secs()
            ),
            format!("| no answer to Login | {} s |", settings.login_timeout.as_secs()),
            format!(
                "| no answer to a Send, Sync or Ping | {} s |",
                settings.answer_timeout.as_secs()
            ),
            format!(
                "| Error UNAVAILABLE or RATE_LIMITED without `retry_after_ms` | {} s |",
                DEFAULT_PAUSE.as_secs()
            ),
            format!(
                "| a password before it expires | renewed after {} % of its life; not used for a Login in its last {} s |",
                (RENEW_AFTER * 100.0) as u32,
                PASSWORD_MARGIN.as_secs()
            ),
            format!(
                "| no password to be had for Renew | {} s |",
                NO_PASSWORD_PAUSE.as_secs()
            ),
        ] {
            assert!(document.contains(&row), "docs/protocol.md lacks:\n{row}");
        }
    }

    #[test]
    fn jitter_takes_up_to_half() {
        let backoff = Backoff::default();
        assert_eq!(backoff.delay(1, Duration::ZERO, 0.0), Duration::from_millis(500));
        assert_eq!(backoff.delay(1, Duration::ZERO, 0.5), Duration::from_millis(750));
    }

    // protocol: "a Bye 1–199 with retry_after_ms | so long"
    #[test]
    fn never_comes_back_before_the_time_the_node_asked_for() {
        let backoff = Backoff::default();
        let asked = Duration::from_millis(1234);
        assert_eq!(backoff.delay(0, asked, 0.9), asked);
        assert_eq!(
            backoff.delay(1, Duration::from_secs(60), 0.9),
            Duration::from_secs(60)
        );
        assert!(backoff.delay(5, asked, 0.0) >= Duration::from_secs(8));
    }
}
