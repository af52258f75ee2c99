//! The wall clock. `huizhen demo --now` sets it to another time; no other program does.
//!
//! Spans within this process use monotonic clocks, which no setting moves.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

/// How far the clock of this process is ahead of the machine's, milliseconds.
static AHEAD_MS: AtomicI64 = AtomicI64::new(0);

/// Now, epoch milliseconds.
pub fn now_ms() -> i64 {
    machine_ms().saturating_add(AHEAD_MS.load(Ordering::Relaxed))
}

/// Now by the machine's clock, epoch milliseconds: for payment providers, which compare it with theirs.
pub fn machine_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Sets the clock of this process to a time, epoch milliseconds, from which it goes on.
pub fn set_clock(now_ms: i64) {
    AHEAD_MS.store(now_ms.saturating_sub(machine_ms()), Ordering::Relaxed);
}
