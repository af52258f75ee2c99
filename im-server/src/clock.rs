//! The clocks. Decisions receive a time as an argument; only loops and handlers read it here.
//!
//! [`uptime_s`] and [`uptime_ms`] measure silence, slowness and rates; setting the wall clock never moves them.
//! [`now_ms`] is the time of day: the wall clock at the start of the process, plus the uptime. It follows a wall
//! clock that jumps by a thousandth of the elapsed time, which exceeds the drift of a clock. So the difference of two
//! times is the time that has passed.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use telemetry::events::im::{self as events, Event};

/// A larger offset of the wall clock is a jump, milliseconds.
const JUMP_MS: i64 = 2_000;

/// The wall clock at uptime 0.
static BEGAN_MS: LazyLock<AtomicI64> = LazyLock::new(|| AtomicI64::new(wall_ms() - boot_ms()));
/// The last measured offset of the wall clock.
static OFF_MS: AtomicI64 = AtomicI64::new(0);

/// Epoch milliseconds.
pub(crate) fn now_ms() -> i64 {
    BEGAN_MS.load(Ordering::Relaxed) + boot_ms()
}

/// Milliseconds of the monotonic clock, which includes suspension of the machine.
pub(crate) fn uptime_ms() -> i64 {
    boot_ms()
}

/// Seconds of the same in 32 bits, where a second is fine enough.
pub(crate) fn uptime_s() -> u32 {
    u32::try_from(boot_ms() / 1000).unwrap_or(u32::MAX)
}

/// Follows the wall clock by at most a millisecond, and logs a jump. Call it once a second.
pub(crate) fn follow() {
    let off_ms = wall_ms() - now_ms();
    BEGAN_MS.fetch_add(off_ms.clamp(-1, 1), Ordering::Relaxed);
    let before_ms = OFF_MS.swap(off_ms, Ordering::Relaxed);
    events::CLOCK_OFF_S.set(off_ms as f64 / 1000.0);
    if (off_ms - before_ms).abs() > JUMP_MS {
        Event::ClockJumped { off_ms }.emit();
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

/// Other systems lack this clock; theirs may stop while the machine is suspended.
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
