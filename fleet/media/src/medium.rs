//! A medium before its upload and after it.

use ring::digest::{SHA256, digest};

use crate::mime::MimeType;

/// An upload as its sender announces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The type.
    pub mime: MimeType,
    /// The size, bytes.
    pub bytes: u64,
    /// The SHA-256 of all bytes.
    pub sha256: [u8; 32],
}

impl Announced {
    /// The announcement of these bytes.
    pub fn of(mime: MimeType, content: &[u8]) -> Self {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest(&SHA256, content).as_ref());
        Self {
            mime,
            bytes: content.len() as u64,
            sha256,
        }
    }
}

/// The properties of a finished medium.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Finished {
    /// The width of a picture or video as it is shown, pixels: EXIF has turned it. 0 where there is none.
    pub width: u32,
    /// The height likewise.
    pub height: u32,
    /// The duration of a recording or video, milliseconds; 0 where there is none.
    pub duration_ms: u64,
}
