//! Limits per address, per session and for the node.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use dashmap::DashMap;

use crate::{Settings, clock::uptime_s};

type NodeLimiter = governor::DefaultDirectRateLimiter;

/// Addresses whose failures are remembered; beyond that the book is begun anew, which forgives rather than blocks.
const FAILING_ADDRESSES: usize = 100_000;

/// What connections and logins may cost the node.
pub(crate) struct Limits {
    max_sessions: u32,
    per_address: u32,
    failed_per_minute: u32,
    sessions: AtomicU32,
    connections: DashMap<IpAddr, u32>,
    failures: DashMap<IpAddr, Failures>,
    logins: Option<NodeLimiter>,
}

struct Failures {
    minute: u32,
    count: u32,
}

/// A connection's place among those of its address; given back when dropped.
pub(crate) struct AddressPlace {
    limits: Arc<Limits>,
    address: IpAddr,
}

impl Limits {
    pub(crate) fn new(settings: &Settings) -> Self {
        let logins = NonZeroU32::new(settings.logins_per_s)
            .map(|per_second| governor::RateLimiter::direct(governor::Quota::per_second(per_second)));
        Self {
            max_sessions: settings.max_sessions,
            per_address: settings.connections_per_address,
            failed_per_minute: settings.failed_logins_per_minute,
            sessions: AtomicU32::new(0),
            connections: DashMap::new(),
            failures: DashMap::new(),
            logins,
        }
    }

    /// A place for a connection from an address; none when it has as many as it may.
    pub(crate) fn connection(self: &Arc<Self>, address: IpAddr) -> Option<AddressPlace> {
        let mut count = self.connections.entry(address).or_insert(0);
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        Some(AddressPlace {
            limits: self.clone(),
            address,
        })
    }

    /// A place for a session; given back by [`Self::end_session`]. False when the node is full.
    pub(crate) fn begin_session(&self) -> bool {
        let took = self
            .sessions
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |sessions| {
                (sessions < self.max_sessions).then_some(sessions + 1)
            });
        took.is_ok()
    }

    pub(crate) fn end_session(&self) {
        self.sessions.fetch_sub(1, Ordering::Relaxed);
    }

    /// Sessions now.
    pub(crate) fn sessions(&self) -> u32 {
        self.sessions.load(Ordering::Relaxed)
    }

    /// Whether the node takes one more login in this moment.
    pub(crate) fn login(&self) -> bool {
        self.logins.as_ref().is_none_or(|logins| logins.check().is_ok())
    }

    /// Whether an address has failed too often in this minute.
    pub(crate) fn is_blocked(&self, address: IpAddr) -> bool {
        let minute = uptime_s() / 60;
        self.failures
            .get(&address)
            .is_some_and(|failures| failures.minute == minute && failures.count >= self.failed_per_minute)
    }

    /// Remembers a failed login.
    pub(crate) fn failed(&self, address: IpAddr) {
        let minute = uptime_s() / 60;
        if self.failures.len() >= FAILING_ADDRESSES {
            self.failures.clear();
        }
        let mut failures = self
            .failures
            .entry(address)
            .or_insert(Failures { minute, count: 0 });
        if failures.minute != minute {
            *failures = Failures { minute, count: 0 };
        }
        failures.count += 1;
    }

    /// Forgets failures of past minutes.
    pub(crate) fn forget_old(&self) {
        let minute = uptime_s() / 60;
        self.failures.retain(|_, failures| failures.minute == minute);
    }
}

impl Drop for AddressPlace {
    fn drop(&mut self) {
        self.limits.connections.remove_if_mut(&self.address, |_, count| {
            *count -= 1;
            *count == 0
        });
    }
}

/// Lets a session do something once a second.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OncePerSecond {
    /// When it was let do it last, [`crate::clock::uptime_ms`]; `None` is never.
    last_ms: Option<NonZeroU32>,
}

impl OncePerSecond {
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

/// A bucket of tokens for one session: so many a second in the long run, five seconds' worth at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    tokens: f32,
    at_ms: u32,
}

/// How many seconds' worth may be used at once.
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
    /// How long until there is one.
    pub(crate) fn take(&mut self, per_second: u32, now_ms: i64) -> Result<(), Duration> {
        // The low 32 bits of the time are enough for a difference.
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
