//! The clock by which records in memory end: it never steps, so that setting the wall clock ends none of them.

use std::sync::atomic::{AtomicI64, Ordering};

#[derive(Default)]
pub(super) struct Clock {
    /// How far tests have moved it on, milliseconds.
    ahead_ms: AtomicI64,
}

impl Clock {
    /// Milliseconds of the monotonic clock, which includes suspension of the machine.
    pub(super) fn now_ms(&self) -> i64 {
        boot_ms().saturating_add(self.ahead_ms.load(Ordering::Relaxed))
    }

    pub(super) fn pass(&self, ms: i64) {
        self.ahead_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

#[cfg(target_os = "linux")]
fn boot_ms() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

/// Other systems lack this clock; theirs may stop while the machine is suspended.
#[cfg(not(target_os = "linux"))]
fn boot_ms() -> i64 {
    static BEGAN: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    i64::try_from(BEGAN.elapsed().as_millis()).unwrap_or(i64::MAX)
}
