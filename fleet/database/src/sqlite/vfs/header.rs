//! The first page, which says whether pages have sums.

use std::sync::atomic::{AtomicU8, Ordering};

use super::RESERVED_BYTES;

/// The length of the header in the first page.
pub(super) const BYTES: usize = 100;
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// The place in the header of the number of reserved bytes in each page.
pub(super) const RESERVED_AT: usize = 20;
const APPLICATION_ID_AT: usize = 68;

/// The application id of a file whose pages reserve bytes for sums, and which SQLite alone wrote to: the sums may be old.
/// "hzpl".
pub(super) const WRITTEN_PLAIN: i32 = 0x687a_706c;

/// Whether the pages of a file have sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seal {
    /// Its first page was not read yet.
    Unknown,
    Unsealed,
    Sealed,
}

impl Seal {
    /// `None` when these are not a header.
    pub(super) fn of(page: &[u8]) -> Option<Self> {
        let header = page.get(..BYTES)?;
        if !header.starts_with(MAGIC) {
            return None;
        }
        let is_written_plain = header[APPLICATION_ID_AT..].starts_with(&WRITTEN_PLAIN.to_be_bytes());
        Some(match header[RESERVED_AT] == RESERVED_BYTES && !is_written_plain {
            true => Self::Sealed,
            false => Self::Unsealed,
        })
    }
}

/// A [`Seal`] that the files of a connection share.
#[derive(Default)]
pub(super) struct SealCell(AtomicU8);

impl SealCell {
    pub(super) fn get(&self) -> Seal {
        match self.0.load(Ordering::Relaxed) {
            0 => Seal::Unknown,
            1 => Seal::Unsealed,
            _ => Seal::Sealed,
        }
    }

    pub(super) fn set(&self, seal: Seal) {
        self.0.store(seal as u8, Ordering::Relaxed);
    }
}
