//! Copies kept media from one store to another: a backup, its restoration, or a move.

use futures_util::StreamExt;

use crate::store::{Broken, Form, Store, StoreError, Stored, Wanted};

/// The counts of a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Files or objects that were copied.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those that the target had.
    pub present: u64,
}

/// Copies all kept media; what the target has in the same size is not copied again, since kept bytes never change. Smaller
/// pictures are left out: they are made again. A copy that ends early goes on when it is called again.
///
/// # Errors
/// Those of either store. [`StoreError::Interrupted`] where a source failed while it was read.
pub async fn copy(from: &Store, to: &Store) -> Result<Copied, StoreError> {
    let mut copied = Copied::default();
    let mut listed = from.list(None);
    while let Some(stored) = listed.next().await {
        let stored = stored?;
        if matches!(stored.form, Form::Smaller(_)) {
            continue;
        }
        if is_present(to, &stored).await? {
            copied.present += 1;
            continue;
        }
        let read = match from.read(&stored.key, stored.form, Wanted::All).await {
            Ok(read) => read,
            // Deleted since it was listed.
            Err(StoreError::NotFound) => continue,
            Err(error) => return Err(error),
        };
        let pieces = read.bytes.map(|piece| piece.map_err(|_| Broken));
        copied.bytes += to.put(&stored.key, stored.form, Box::pin(pieces)).await?;
        copied.files += 1;
    }
    Ok(copied)
}

async fn is_present(store: &Store, stored: &Stored) -> Result<bool, StoreError> {
    match store.size(&stored.key, stored.form).await {
        Ok(bytes) => Ok(bytes == stored.bytes),
        Err(StoreError::NotFound) => Ok(false),
        Err(error) => Err(error),
    }
}
