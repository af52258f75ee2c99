//! The outage of one server, logged once when it begins and once when it ends, however many connections it costs.

use std::{
    fmt::Display,
    sync::atomic::{AtomicUsize, Ordering},
};

use telemetry::events::backplane::Event;

/// The connections of one server.
pub(crate) struct Outage {
    /// The server, for the log.
    redis: String,
    /// Connections that cannot be made.
    away: AtomicUsize,
}

impl Outage {
    pub(crate) fn new(redis: &str) -> Self {
        Self {
            redis: redis.to_owned(),
            away: AtomicUsize::new(0),
        }
    }

    /// A connection cannot be made.
    pub(super) fn begins(&self, error: &dyn Display) {
        if self.away.fetch_add(1, Ordering::AcqRel) == 0 {
            let redis = &self.redis;
            Event::Unreachable { redis, error }.emit();
        }
    }

    /// It stands again.
    pub(super) fn ends(&self) {
        if self.away.fetch_sub(1, Ordering::AcqRel) == 1 {
            Event::Reachable { redis: &self.redis }.emit();
        }
    }
}
