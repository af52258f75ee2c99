//! Why a store does not do as asked.

use std::{fmt, io};

/// An error of a store. Its text names neither the address of a store nor a credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store has no such bytes.
    #[error("the media store has no such bytes")]
    NotFound,
    /// The wanted range begins behind the end.
    #[error("the range begins behind the last of {bytes} bytes")]
    OutOfRange {
        /// The size of the whole, bytes.
        bytes: u64,
    },
    /// A piece of an upload does not begin where the pieces before end.
    #[error("the upload has {received} bytes, and goes on from there")]
    WrongOffset {
        /// The bytes that the store has.
        received: u64,
    },
    /// A piece of an upload goes beyond the announced end.
    #[error("the upload is longer than the announced {total} bytes")]
    TooLong {
        /// The announced size, bytes.
        total: u64,
    },
    /// A piece that is not the last is too small for this store.
    #[error("each piece but the last must have at least {min} bytes")]
    TooShort {
        /// The smallest piece, bytes.
        min: u64,
    },
    /// Another request is writing the same upload.
    #[error("another request is writing this upload")]
    Busy,
    /// The sender of the bytes was silent, or its connection broke. Bytes before are kept.
    #[error("the bytes stopped coming")]
    Interrupted,
    /// The store does not serve now.
    #[error("the media store is {outage}: {why}")]
    Outage {
        /// Its kind.
        outage: Outage,
        /// For a log line.
        why: String,
    },
}

/// The kind of an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// No answer in time.
    Slow,
    /// No connection, a broken one, or an answer of the 500s.
    Down,
    /// The credentials are wrong, or may not do this: the operator must act.
    Refused,
    /// The disk is full, or its quota is used up.
    Full,
    /// Anything else that this store should not do.
    Faulty,
}

impl Outage {
    /// The word for logs and labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Down => "down",
            Self::Refused => "refused",
            Self::Full => "full",
            Self::Faulty => "faulty",
        }
    }

    pub(crate) fn because(self, why: impl Into<String>) -> StoreError {
        StoreError::Outage {
            outage: self,
            why: why.into(),
        }
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl StoreError {
    /// The outage, where the store and not the request is at fault.
    pub fn outage(&self) -> Option<Outage> {
        match self {
            Self::Outage { outage, .. } => Some(*outage),
            _ => None,
        }
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        // The error of a file operation does not contain its path.
        let why = error.to_string();
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Outage::Full.because(why),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Outage::Refused.because(why)
            }
            io::ErrorKind::TimedOut => Outage::Slow.because(why),
            _ => Outage::Faulty.because(why),
        }
    }
}
