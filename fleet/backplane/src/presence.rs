//! Who is logged in.

use proto::{UserId, wire::Platform};

use crate::Generation;

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

/// A login that a node holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldSession {
    /// Whose.
    pub user: UserId,
    /// Of which device.
    pub device_id: Box<str>,
    /// Of which kind the device is.
    pub platform: Platform,
    /// What the login was given.
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
