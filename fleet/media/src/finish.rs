//! The end of an upload: what was staged is compared with what was announced, inspected, and kept or deleted.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use ring::digest::{Context, SHA256};

use crate::{
    inspect::{Cleaner, Cleaning, Inspected, Inspector, Refused},
    medium::{Announced, Finished},
    store::{Broken, Form, Key, Pieces, Read, Store, StoreError, Wanted},
};

/// Between two attempts while another one has the upload.
const BUSY_WAIT: Duration = Duration::from_millis(50);
/// Attempts after the first one: 2 s.
const BUSY_WAITS: usize = 40;

/// Why an upload is not finished.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FinishError {
    /// It is not what was announced, and gone from the store.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The store failed; [`StoreError::NotFound`] where nothing is staged. A further attempt may succeed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Verifies a staged upload and keeps it: its size, its SHA-256, and that its bytes are of the announced type. A medium with
/// metadata that says more than it shows is kept twice: as uploaded ([`Form::Uploaded`]) for the record, and without them
/// ([`Form::Served`]) for everybody. The SHA-256 is that of the upload.
///
/// Done twice, also at once or after a crash, it has the same outcome. Memory: less than 16 MiB.
///
/// # Errors
/// [`FinishError::Refused`], after which the upload is gone; [`FinishError::Store`], with [`StoreError::Busy`] while a sender
/// writes.
pub async fn finish(store: &Store, key: &Key, announced: &Announced) -> Result<Finished, FinishError> {
    let mut waits = BUSY_WAITS;
    loop {
        match attempt(store, key, announced).await {
            // Another attempt has kept it meanwhile.
            Err(FinishError::Store(StoreError::NotFound)) => return attempt(store, key, announced).await,
            // Another attempt seals it, or a sender still writes.
            Err(FinishError::Store(StoreError::Busy)) if waits > 0 => {
                waits -= 1;
                tokio::time::sleep(BUSY_WAIT).await;
            }
            other => return other,
        }
    }
}

async fn attempt(store: &Store, key: &Key, announced: &Announced) -> Result<Finished, FinishError> {
    let Some(sealed) = store.seal(key).await? else {
        return verify_kept(store, key, announced).await;
    };
    let inspected = match inspect(store.read_sealed(&sealed).await?, announced).await {
        Err(FinishError::Refused(refused)) => {
            store.discard(key).await?;
            return Err(refused.into());
        }
        other => other?,
    };
    // The clean copy comes first: while the other one is sealed, the next attempt begins anew.
    if let Some(cleaning) = inspected.cleaning {
        let original = store.read_sealed(&sealed).await?;
        store.put(key, Form::Served, cleaned(original, cleaning)).await?;
        store.keep(key, &sealed, Form::Uploaded).await?;
    } else {
        store.keep(key, &sealed, Form::Served).await?;
    }
    store.discard(key).await?;
    Ok(inspected.finished)
}

/// Nothing is staged: the upload was kept before, or never came.
async fn verify_kept(store: &Store, key: &Key, announced: &Announced) -> Result<Finished, FinishError> {
    let original = match store.read(key, Form::Uploaded, Wanted::All).await {
        Err(StoreError::NotFound) => store.read(key, Form::Served, Wanted::All).await?,
        other => other?,
    };
    Ok(inspect(original, announced).await?.finished)
}

async fn inspect(mut read: Read, announced: &Announced) -> Result<Inspected, FinishError> {
    if read.total != announced.bytes {
        return Err(Refused::Size {
            received: read.total,
            announced: announced.bytes,
        }
        .into());
    }
    let mut sha256 = Context::new(&SHA256);
    let mut inspector = Inspector::new(announced.mime);
    // A wrong hash says more than wrong content: bytes were lost on the way.
    let mut is_right = Ok(());
    while let Some(bytes) = read.bytes.next().await {
        let bytes = bytes?;
        sha256.update(&bytes);
        if is_right.is_ok() {
            is_right = inspector.push(&bytes);
        }
    }
    if sha256.finish().as_ref() != announced.sha256 {
        return Err(Refused::Sha256.into());
    }
    is_right?;
    Ok(inspector.end()?)
}

/// The clean copy, piece by piece.
fn cleaned(original: Read, cleaning: Cleaning) -> Pieces<'static> {
    let state = Some((original.bytes, Cleaner::new(cleaning)));
    Box::pin(stream::unfold(state, |state| async {
        let (mut bytes, mut cleaner) = state?;
        let copy = match bytes.next().await? {
            Ok(piece) => cleaner.push(&piece).map_err(|_| Broken),
            Err(_) => Err(Broken),
        };
        match copy {
            Ok(copy) => Some((Ok(copy.into()), Some((bytes, cleaner)))),
            Err(Broken) => Some((Err(Broken), None)),
        }
    }))
}
