//! The clocks. Decisions take a time as an argument; only loops and handlers ask for it here.
//!
//! Silence, slowness and rates are measured by [`uptime_s`] and [`uptime_ms`], which no setting of the clock moves. Times
//! of day come from [`now_ms`]: the wall clock as the process found it, carried on by the uptime. A wall clock that jumps is
//! followed by a thousandth of the elapsed time, which is more than a clock drifts; so two times of one process always
//! differ by what has passed between them.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// A wall clock that is off by more has jumped, milliseconds.
const JUMP_MS: i64 = 2_000;

/// The wall clock when the process began, less the uptime then.
static BEGAN_MS: LazyLock<AtomicI64> = LazyLock::new(|| AtomicI64::new(wall_ms() - boot_ms()));
/// How far the wall clock was off when it was looked at last.
static OFF_MS: AtomicI64 = AtomicI64::new(0);

/// Epoch milliseconds.
pub(crate) fn now_ms() -> i64 {
    BEGAN_MS.load(Ordering::Relaxed) + boot_ms()
}

/// Milliseconds of the monotonic clock; they go on while the machine is suspended.
pub(crate) fn uptime_ms() -> i64 {
    boot_ms()
}

/// Seconds of the same, in 32 bits: for the many places where a second is fine enough.
pub(crate) fn uptime_s() -> u32 {
    u32::try_from(boot_ms() / 1000).unwrap_or(u32::MAX)
}

/// Follows the wall clock by at most a millisecond, and logs when it has jumped. Call it once a second.
pub(crate) fn follow() {
    let off_ms = wall_ms() - now_ms();
    BEGAN_MS.fetch_add(off_ms.clamp(-1, 1), Ordering::Relaxed);
    let before_ms = OFF_MS.swap(off_ms, Ordering::Relaxed);
    metrics::gauge!("huizhen_im_clock_off_seconds").set(off_ms as f64 / 1000.0);
    if (off_ms - before_ms).abs() > JUMP_MS {
        tracing::warn!(
            off_ms,
            "the wall clock has jumped; this process goes on by its own time: restart it if the new time is right"
        );
    }
}

fn wall_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(target_os = "linux")]
fn boot_ms() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

/// Other systems have no such clock here; theirs may stand still while the machine is suspended.
#[cfg(not(target_os = "linux"))]
fn boot_ms() -> i64 {
    static BEGAN: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
    i64::try_from(BEGAN.elapsed().as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_and_follows_the_wall_clock_by_a_millisecond() {
        let (now, up) = (now_ms(), uptime_ms());
        assert!((now - wall_ms()).abs() < 1_000);
        BEGAN_MS.fetch_sub(600_000, Ordering::Relaxed);
        follow();
        let off_ms = wall_ms() - now_ms();
        assert!((598_000..=600_000).contains(&off_ms), "{off_ms}");
        BEGAN_MS.fetch_add(600_000, Ordering::Relaxed);
        assert!(uptime_ms() >= up && uptime_s() > 0);
    }
}
