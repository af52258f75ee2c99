//! The clock. What decides takes the time as an argument; only loops and handlers ask for it here.

use std::time::{SystemTime, UNIX_EPOCH};

/// Epoch milliseconds.
pub(crate) fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

/// Epoch seconds, in 32 bits: for the many places where a second is fine enough.
pub(crate) fn now_s() -> u32 {
    u32::try_from(now_ms() / 1000).unwrap_or(u32::MAX)
}
