//! Compares the clocks of a fleet. No decision of ours rests on two of them, but users read their times, and an IM password
//! is issued by one machine's clock and checked by another's.

use std::time::{SystemTime, UNIX_EPOCH};

use telemetry::events::journal::Event;

use crate::Journal;

/// Smaller differences are usual, milliseconds.
pub const TOLERATED_MS: i64 = 1_000;
/// Greater differences cost an IM password, which lives an hour, a noticeable part of its life, milliseconds.
pub const GRAVE_MS: i64 = 60_000;

/// The last write to the newest conversation: two searches of the primary key.
const NEWEST: &str = "SELECT updated_ms FROM conversation WHERE id = (SELECT max(id) FROM conversation)";

pub(crate) const STATEMENTS: &[&str] = &[NEWEST];

/// The offset of a dependency's clock from this machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The dependency, for a sentence.
    pub of: &'static str,
    /// Milliseconds; positive when it is ahead. Known to half of a round trip.
    pub ahead_ms: i64,
}

impl Difference {
    fn new(of: &'static str, asked_ms: i64, said_ms: i64, answered_ms: i64) -> Self {
        Self {
            of,
            ahead_ms: said_ms - (asked_ms + answered_ms) / 2,
        }
    }
}

impl Journal {
    /// Compares this machine's clock with those of PostgreSQL and Redis, as far as they are in use and answer.
    pub async fn clock_differences(&self) -> Vec<Difference> {
        let mut differences = Vec::new();
        let asked_ms = now_ms();
        if let Ok(Some(said_ms)) = self.database().clock_ms().await {
            differences.push(Difference::new("PostgreSQL", asked_ms, said_ms, now_ms()));
        }
        let asked_ms = now_ms();
        if let Ok(Some(said_ms)) = self.backplane().clock_ms().await {
            differences.push(Difference::new("Redis", asked_ms, said_ms, now_ms()));
        }
        differences
    }

    /// The lead of the newest conversation over this machine's clock, milliseconds; `None` without a conversation.
    ///
    /// # Errors
    /// As the database says.
    pub async fn newest_ahead_ms(&self) -> Result<Option<i64>, database::Error> {
        let row = self.database().query_first(NEWEST, Vec::new()).await?;
        let newest_ms: Option<i64> = row.map(|row| row.get(0)).transpose()?;
        Ok(newest_ms.map(|newest_ms| newest_ms - now_ms()))
    }

    /// Logs unusual differences.
    pub async fn warn_of_clocks(&self) {
        if let Ok(Some(ahead_ms)) = self.newest_ahead_ms().await
            && ahead_ms > GRAVE_MS
        {
            let behind_s = ahead_ms / 1_000;
            Event::ClockBehind { behind_s }.emit();
        }
        for Difference { of, ahead_ms } in self.clock_differences().await {
            if ahead_ms.abs() > TOLERATED_MS {
                Event::ClocksDiffer { of, ahead_ms }.emit();
            }
        }
    }
}

fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trip_is_halved() {
        assert_eq!(Difference::new("x", 1_000, 5_050, 1_100).ahead_ms, 4_000);
        assert_eq!(Difference::new("x", 1_000, 1_050, 1_100).ahead_ms, 0);
    }
}
