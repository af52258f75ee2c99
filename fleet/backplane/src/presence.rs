//! Who is logged in.

use proto::{UserId, wire::Platform};

/// Whether a person is logged in, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// The person.
    pub user: UserId,
    /// Their logged-in devices; empty when they are away.
    pub devices: Vec<DevicePresence>,
    /// When their last session ended, epoch milliseconds, if that is known.
    pub last_seen_ms: Option<i64>,
}

/// One logged-in device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicePresence {
    /// Its id.
    pub device_id: String,
    /// Its kind.
    pub platform: Platform,
}
