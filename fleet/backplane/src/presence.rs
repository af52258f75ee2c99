//! Presence: the devices that users are logged in on.

use proto::{UserId, wire::Platform};

/// A login's place among the logins of its device: the higher one wins, wherever it arrived first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(pub u64);

/// A user's logins, as others see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// The user.
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

/// A login that a node holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldSession {
    /// Its user.
    pub user: UserId,
    /// Its device.
    pub device_id: Box<str>,
    /// The kind of the device.
    pub platform: Platform,
    /// The login's generation.
    pub generation: Generation,
}

/// Why a login that a node holds must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outdone {
    /// The device has logged in again elsewhere.
    Replaced,
    /// The device was logged out.
    LoggedOut,
}
