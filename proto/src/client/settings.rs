//! The identity of a client, and its limits.

use std::time::Duration;

use super::state::Backoff;
use crate::wire::Platform;

/// The identity of a client, and its limits.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The user's id, as REST names it.
    pub user_id: i64,
    /// The device that the passwords are made for.
    pub device_id: String,
    /// The kind of device.
    pub platform: Platform,
    /// The app's own version, for the operator's logs.
    pub app_version: String,
    /// The language of the node's sentences for people, as in `zh-CN`; empty for English.
    pub language: String,
    /// How long to wait before coming back.
    pub backoff: Backoff,
    // protocol: "connecting, TLS included, takes too long"
    /// The limit of connecting, TLS included.
    pub connect_timeout: Duration,
    // protocol: "no answer to Login | 10 s"
    /// How long a Login may stay without an answer.
    pub login_timeout: Duration,
    // protocol: "no answer to a Send, Sync or Ping | 15 s"
    /// How long a Send, Sync or Ping may stay without an answer before the connection counts as dead. A node
    /// answers within 5 s even when its database is away.
    pub answer_timeout: Duration,
    /// The most entries of each conversation in one Sync; 0 for the node's default.
    pub sync_limit: u32,
    /// How many events may wait for the app before the client stops reading from the node.
    pub event_capacity: usize,
}

impl Settings {
    /// With limits that suit an app.
    pub fn new(user_id: i64, device_id: impl Into<String>, platform: Platform) -> Self {
        Self {
            user_id,
            device_id: device_id.into(),
            platform,
            app_version: concat!("proto/", env!("CARGO_PKG_VERSION")).to_owned(),
            language: String::new(),
            backoff: Backoff::default(),
            connect_timeout: Duration::from_secs(10),
            login_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(15),
            sync_limit: 0,
            event_capacity: 256,
        }
    }
}
