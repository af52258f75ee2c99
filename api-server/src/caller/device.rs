//! Devices that a write logged out.

use proto::UserId;

use super::TokenHash;

/// A device whose access token was removed from the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub user: UserId,
    pub device_id: String,
    /// Its access token; none when a sweep completes the logout of an earlier process.
    pub token: Option<TokenHash>,
}
