//! One seam, two stores: a folder of the data directory, and S3.

mod error;
mod folder;
mod key;
mod s3;
mod ticket;

use std::{ops::Range, path::Path, pin::Pin, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};

pub use self::{
    error::{Outage, StoreError},
    key::{Form, Key, NotAKey, Width},
    s3::{S3Settings, S3SettingsError},
    ticket::{READ_LIFETIME_S, Shown, TICKET_LIFETIME_S, Ticket, Way},
};
use self::{folder::Folder, s3::S3};
use crate::medium::Announced;

/// The longest wait for the next bytes of a sender. The caller bounds the whole upload.
const PIECE_WAIT: Duration = Duration::from_secs(30);

/// Bytes on their way into a store.
pub type Pieces<'a> = Pin<Box<dyn Stream<Item = Result<Bytes, Broken>> + Send + 'a>>;
/// Bytes on their way out of a store, in pieces of at most some 64 KiB from a folder.
pub type Bytestream = Pin<Box<dyn Stream<Item = Result<Bytes, StoreError>> + Send>>;
/// The kept bytes of a store, in the order of keys.
pub type Listing = Pin<Box<dyn Stream<Item = Result<Stored, StoreError>> + Send>>;

/// Uploads without an end, in no order.
pub type Uploads = Pin<Box<dyn Stream<Item = Result<Staged, StoreError>> + Send>>;

/// The sender's connection broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// A place for the bytes of media. Cloning it is cheap.
#[derive(Clone, Debug)]
pub enum Store {
    /// A folder of the data directory.
    Folder(Folder),
    /// A bucket of S3.
    S3(S3),
}

/// The bytes that a reader wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of them.
    All,
    /// From the first number up to and including the second one, or up to the end where that comes first.
    Between(u64, u64),
    /// From this number to the end.
    From(u64),
    /// The last ones, at most this number.
    Last(u64),
}

/// An answer to a read.
pub struct Read {
    /// The size of the whole, bytes.
    pub total: u64,
    /// The part that follows, bytes.
    pub range: Range<u64>,
    /// The bytes.
    pub bytes: Bytestream,
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Of which medium.
    pub key: Key,
    /// Which of its forms.
    pub form: Form,
    /// Its size, bytes.
    pub bytes: u64,
    /// When it was last written by the store's clock, Unix time in milliseconds.
    pub modified_ms: i64,
}

/// An upload that no sender can write any more: the name of a file or an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sealed(String);

/// One line of a listing of uploads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// The key of the upload.
    pub key: Key,
    /// When it was last written by the store's clock, Unix time in milliseconds.
    pub modified_ms: i64,
}

impl Store {
    /// Opens a folder, which is made where it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn folder(path: &Path) -> Result<Self, StoreError> {
        Folder::open(path).await.map(Self::Folder)
    }

    /// A bucket of S3, or the part of it below a prefix. Nothing is asked of it yet.
    ///
    /// # Errors
    /// When the settings cannot be used.
    pub fn s3(settings: S3Settings, bucket: &str, prefix: &str) -> Result<Self, S3SettingsError> {
        S3::open(settings, bucket, prefix).map(Self::S3)
    }

    /// Appends to a staged upload; the first bytes make it. They are synced before this returns. Also what came before an
    /// error is kept, so that the sender can go on from [`Store::received`].
    ///
    /// Returns how many bytes the upload has now.
    ///
    /// # Errors
    /// [`StoreError::WrongOffset`] when `offset` is not the number of bytes received before; [`StoreError::TooLong`] beyond
    /// `total` bytes; [`StoreError::Busy`] beside another append; [`StoreError::Interrupted`] when `pieces` break or pause
    /// for 30 s; [`StoreError::NotFound`] when the upload is kept already; an outage.
    pub async fn append(
        &self,
        key: &Key,
        offset: u64,
        total: u64,
        pieces: Pieces<'_>,
    ) -> Result<u64, StoreError> {
        match self {
            Self::Folder(folder) => folder.append(key, offset, total, pieces).await,
            Self::S3(s3) => s3.append(key, offset, total, pieces).await,
        }
    }

    /// How many bytes a staged upload has: 0 before its first.
    ///
    /// # Errors
    /// An outage.
    pub async fn received(&self, key: &Key) -> Result<u64, StoreError> {
        match self {
            Self::Folder(folder) => folder.received(key).await,
            Self::S3(s3) => s3.received(key).await,
        }
    }

    /// Writes a form as a whole; it is there once all of it is synced, and replaces what was there.
    ///
    /// Returns its size, bytes.
    ///
    /// # Errors
    /// [`StoreError::Interrupted`] when `pieces` break or pause; an outage.
    pub async fn put(&self, key: &Key, form: Form, pieces: Pieces<'_>) -> Result<u64, StoreError> {
        match self {
            Self::Folder(folder) => folder.put(key, form, pieces).await,
            Self::S3(s3) => s3.put(key, form, pieces).await,
        }
    }

    /// Reads kept bytes.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::OutOfRange`]; an outage.
    pub async fn read(&self, key: &Key, form: Form, wanted: Wanted) -> Result<Read, StoreError> {
        match self {
            Self::Folder(folder) => folder.read(key, form, wanted).await,
            Self::S3(s3) => s3.read(key, form, wanted).await,
        }
    }

    /// The size of kept bytes.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; an outage.
    pub async fn size(&self, key: &Key, form: Form) -> Result<u64, StoreError> {
        match self {
            Self::Folder(folder) => folder.size(key, form).await,
            Self::S3(s3) => s3.size(key, form).await,
        }
    }

    /// Deletes a medium in all its forms, and what is staged under its key. One that is not there is deleted already.
    ///
    /// # Errors
    /// An outage.
    pub async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        match self {
            Self::Folder(folder) => folder.delete(key).await,
            Self::S3(s3) => s3.delete(key).await,
        }
    }

    /// Lists kept bytes in the order of their keys, from the first one behind `after`.
    pub fn list(&self, after: Option<&Key>) -> Listing {
        match self {
            Self::Folder(folder) => folder.list(after.cloned()),
            Self::S3(s3) => s3.list(after.cloned()),
        }
    }

    /// Lists uploads that were begun and not finished, also those that no row knows.
    pub fn list_staged(&self) -> Uploads {
        match self {
            Self::Folder(folder) => folder.list_staged(),
            Self::S3(s3) => s3.list_staged(),
        }
    }

    /// Leave to send an upload straight to the store, within 15 minutes; `None` for a folder, which has no address. A store
    /// accepts these bytes alone, by size and SHA-256, and [`finish`](crate::finish) verifies them again.
    pub fn ticket(&self, key: &Key, announced: &Announced, way: Way, now_ms: i64) -> Option<Ticket> {
        match self {
            Self::Folder(_) => None,
            Self::S3(s3) => Some(s3.ticket(key, announced, way, now_ms)),
        }
    }

    /// An address that serves kept bytes for 5 minutes; `None` for a folder. It does not look whether they are there.
    pub fn signed_read(&self, key: &Key, form: Form, shown: &Shown, now_ms: i64) -> Option<String> {
        match self {
            Self::Folder(_) => None,
            Self::S3(s3) => Some(s3.signed_read(key, form, shown, now_ms)),
        }
    }

    /// Deletes what is staged under a key, and nothing that is kept.
    ///
    /// # Errors
    /// An outage.
    pub async fn discard(&self, key: &Key) -> Result<(), StoreError> {
        match self {
            Self::Folder(folder) => folder.discard(key).await,
            Self::S3(s3) => s3.discard(key).await,
        }
    }

    /// Tries to list, write and delete, as a server will; nothing stays.
    ///
    /// # Errors
    /// An outage.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let key = Key::random();
        self.list(None).next().await.transpose()?;
        let piece = stream::iter([Ok(Bytes::from_static(b"probe"))]);
        self.append(&key, 0, 5, Box::pin(piece)).await?;
        self.discard(&key).await
    }

    /// Puts a staged upload where no sender can write any more; `None` where nothing is staged.
    pub(crate) async fn seal(&self, key: &Key) -> Result<Option<Sealed>, StoreError> {
        match self {
            Self::Folder(folder) => folder.seal(key).await,
            Self::S3(s3) => s3.seal(key).await,
        }
    }

    /// Reads a sealed upload.
    pub(crate) async fn read_sealed(&self, sealed: &Sealed) -> Result<Read, StoreError> {
        match self {
            Self::Folder(folder) => folder.read_sealed(sealed).await,
            Self::S3(s3) => s3.read_sealed(sealed).await,
        }
    }

    /// Keeps a sealed upload as this form.
    pub(crate) async fn keep(&self, key: &Key, sealed: &Sealed, form: Form) -> Result<(), StoreError> {
        match self {
            Self::Folder(folder) => folder.keep(key, sealed, form).await,
            Self::S3(s3) => s3.keep(key, sealed, form).await,
        }
    }
}

impl Wanted {
    /// The range of this many bytes.
    fn of(self, total: u64) -> Result<Range<u64>, StoreError> {
        let range = match self {
            Self::All => return Ok(0..total),
            Self::Between(first, last) => first..last.saturating_add(1).min(total),
            Self::From(first) => first..total,
            Self::Last(count) => total.saturating_sub(count)..total,
        };
        if range.is_empty() {
            return Err(StoreError::OutOfRange { bytes: total });
        }
        Ok(range)
    }
}

/// The next bytes of a sender; `None` at their end.
async fn next(pieces: &mut Pieces<'_>) -> Result<Option<Bytes>, StoreError> {
    match tokio::time::timeout(PIECE_WAIT, pieces.next()).await {
        Ok(None) => Ok(None),
        Ok(Some(Ok(bytes))) => Ok(Some(bytes)),
        Ok(Some(Err(Broken))) | Err(_) => Err(StoreError::Interrupted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_at_the_end() {
        assert_eq!(Wanted::All.of(0), Ok(0..0));
        assert_eq!(Wanted::Between(2, u64::MAX).of(10), Ok(2..10));
        assert_eq!(Wanted::Between(2, 3).of(10), Ok(2..4));
        assert_eq!(Wanted::From(9).of(10), Ok(9..10));
        assert_eq!(Wanted::Last(99).of(10), Ok(0..10));
        let beyond = Err(StoreError::OutOfRange { bytes: 10 });
        for wanted in [
            Wanted::Between(10, 12),
            Wanted::Between(3, 2),
            Wanted::From(10),
            Wanted::Last(0),
        ] {
            assert_eq!(wanted.of(10), beyond, "{wanted:?}");
        }
    }
}
