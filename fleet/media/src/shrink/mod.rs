//! Smaller pictures.

mod picture;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};

use self::picture::NotDecoded;
use crate::{
    idle::give_way,
    mime::MAX_PICTURE_BYTES,
    store::{Form, Key, Read, Store, StoreError, Wanted, Width},
};

/// The longest wait for others that decode.
const TURN_WAIT: Duration = Duration::from_secs(10);
/// The longest wait for one picture. Pixels, scans and bytes are bounded, so that the work behind it ends, too.
const WORK_WAIT: Duration = Duration::from_secs(20);

/// Makes smaller pictures, a few at once. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Shrinker {
    permits: Arc<Semaphore>,
}

/// Why there is no smaller picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShrinkError {
    /// The bytes cannot be decoded as JPEG, PNG or WebP within the limits.
    #[error("no smaller picture can be made of these bytes")]
    NotAPicture,
    /// Others are being decoded, or this one takes too long: a later attempt may succeed.
    #[error("too many pictures are being decoded")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Shrinker {
    /// One that decodes this many pictures at once. Each may need 300 MiB.
    pub fn new(at_once: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(at_once)),
        }
    }

    #[cfg(test)]
    pub(crate) fn is_free(&self) -> bool {
        self.permits.available_permits() > 0
    }

    /// Makes the smaller picture of a kept one unless it is there. Returns the form to read: [`Form::Smaller`], a JPEG without
    /// metadata whose pixels are turned, or [`Form::Served`] where that is not larger.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where no picture is kept; the others of [`ShrinkError`].
    pub async fn smaller(&self, store: &Store, key: &Key, width: Width) -> Result<Form, ShrinkError> {
        let smaller = Form::Smaller(width);
        if is_kept(store, key, smaller).await? {
            return Ok(smaller);
        }
        let waited = timeout(TURN_WAIT, self.permits.clone().acquire_owned()).await;
        let permit = waited.ok().and_then(Result::ok).ok_or(ShrinkError::Busy)?;
        // It is kept also when nobody waits for it any more: on a busy machine the next request finds it.
        let making = tokio::spawn(make(permit, store.clone(), key.clone(), width));
        match timeout(WORK_WAIT, making).await {
            Ok(Ok(made)) => made,
            // A panic.
            Ok(Err(_)) => Err(ShrinkError::NotAPicture),
            Err(_) => Err(ShrinkError::Busy),
        }
    }
}

async fn is_kept(store: &Store, key: &Key, form: Form) -> Result<bool, StoreError> {
    match store.size(key, form).await {
        Ok(_) => Ok(true),
        Err(StoreError::NotFound) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes a smaller picture, and keeps it.
async fn make(
    permit: OwnedSemaphorePermit,
    store: Store,
    key: Key,
    width: Width,
) -> Result<Form, ShrinkError> {
    let smaller = Form::Smaller(width);
    // Another request may have made it since this one looked.
    if is_kept(&store, &key, smaller).await? {
        return Ok(smaller);
    }
    let original = collect(store.read(&key, Form::Served, Wanted::All).await?).await?;
    let Some(made) = decoded(permit, original, width).await? else {
        return Ok(Form::Served);
    };
    let pieces = stream::iter([Ok(Bytes::from(made))]);
    store.put(&key, smaller, Box::pin(pieces)).await?;
    // The medium may have been deleted meanwhile: then this is deleted, too.
    if !is_kept(&store, &key, Form::Served).await? {
        store.delete(&key).await?;
        return Err(StoreError::NotFound.into());
    }
    Ok(smaller)
}

async fn collect(mut read: Read) -> Result<Vec<u8>, ShrinkError> {
    if read.total > MAX_PICTURE_BYTES {
        return Err(ShrinkError::NotAPicture);
    }
    let mut all = Vec::new();
    while let Some(bytes) = read.bytes.next().await {
        all.extend_from_slice(&bytes?);
    }
    Ok(all)
}

/// Decodes on a thread of its own that gives way to all others: a chat must not wait for pictures. The permit is given back
/// when the work ends.
async fn decoded(
    permit: OwnedSemaphorePermit,
    original: Vec<u8>,
    width: Width,
) -> Result<Option<Vec<u8>>, ShrinkError> {
    let (done, made) = oneshot::channel();
    let working = std::thread::Builder::new().name("pictures".to_owned());
    let spawned = working.spawn(move || {
        give_way();
        let made = picture::smaller(&original, width.pixels());
        drop(permit);
        // The service may have ended.
        let _ = done.send(made);
    });
    if spawned.is_err() {
        return Err(ShrinkError::Busy);
    }
    match made.await {
        Ok(made) => made.map_err(|NotDecoded| ShrinkError::NotAPicture),
        // A panic of a decoder.
        Err(_) => Err(ShrinkError::NotAPicture),
    }
}
