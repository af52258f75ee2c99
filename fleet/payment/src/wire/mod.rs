//! Parts that drivers of real providers share: keys, credentials in files, bounded requests, members of JSON, times.

mod address;
mod client;
mod credentials;
mod json;
mod key;
mod time;

pub use self::credentials::SettingsError;
pub(crate) use self::{
    address::Address,
    client::{Answer, BILL_MAX_BYTES, BILL_TIMEOUT, Client, REPLY_MAX_BYTES, is_number, words},
    credentials::Folder,
    json::members,
    key::{PrivateKey, PublicKey},
    time::{local, offset_text, parse_local, parse_offset},
};

/// The wall clock, epoch milliseconds. Providers refuse requests that were signed by another time.
pub type Clock = fn() -> i64;
