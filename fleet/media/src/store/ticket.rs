//! Leave to send bytes straight to a store, or to read them there.

use crate::MimeType;

/// How long an address for reading is good, seconds.
pub const READ_LIFETIME_S: u32 = 300;
/// How long a ticket is good, seconds: 100 MiB in this time need 1 Mbit/s.
pub const TICKET_LIFETIME_S: u32 = 900;

/// How an uploader sends bytes to S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One PUT.
    Put,
    /// A multipart form, since mini-programs can do nothing else; the file is its last field, `file`.
    Form,
}

/// Leave to send these bytes, and no others, to one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// `PUT` or `POST`.
    pub method: &'static str,
    /// Where to.
    pub url: String,
    /// The headers that a PUT must have.
    pub headers: Vec<(&'static str, String)>,
    /// The fields that a form must have before its file.
    pub fields: Vec<(&'static str, String)>,
    /// When it ends, Unix time in milliseconds.
    pub expires_ms: i64,
}

/// The headers of the answer at a signed address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Of `Content-Type`.
    pub mime: MimeType,
    /// Of `Content-Disposition`; the caller quotes a user's file name.
    pub disposition: String,
}
