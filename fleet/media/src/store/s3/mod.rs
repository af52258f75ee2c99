//! S3: `incoming/KEY` is staged whole, `incoming/KEY.parts/OFFSET` in pieces, and `kept/ab/cd/KEY` (and `KEY.form`) is kept,
//! as in the folder. No ticket names a kept object: bytes that were verified cannot change.

mod client;
mod pieces;
mod settings;
mod sign;
mod ticket;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, future::join_all, stream};
use object_store::{
    GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload, aws::AmazonS3, path::Path,
};
use url::Url;

use self::client::{kind, slow, within};
pub use self::settings::{S3Settings, S3SettingsError};
use super::{
    Bytestream, Form, Key, Listing, Pieces, Read, Sealed, Staged, StoreError, Stored, Uploads, Wanted, next,
};

/// The size of a part of a large object, bytes: the smallest that S3 accepts.
const PART_BYTES: usize = 5 * 1024 * 1024;
/// The wait for an answer to a part, in waits for other answers.
const PART_WAITS: u32 = 3;

/// A bucket of S3, or the part of it below a prefix.
#[derive(Clone)]
pub struct S3 {
    parts: Arc<Parts>,
}

struct Parts {
    store: AmazonS3,
    settings: S3Settings,
    bucket: String,
    prefix: String,
    public_url: Url,
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.parts.bucket, self.parts.prefix)
    }
}

impl S3 {
    pub(super) fn open(settings: S3Settings, bucket: &str, prefix: &str) -> Result<Self, S3SettingsError> {
        let url = settings.bucket_url(bucket)?;
        let public_url = settings.public_url(bucket)?;
        let prefix = match prefix.trim_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        Ok(Self {
            parts: Arc::new(Parts {
                store: client::open(&settings, bucket, &url)?,
                settings,
                bucket: bucket.to_owned(),
                prefix,
                public_url,
            }),
        })
    }

    pub(super) async fn put(&self, key: &Key, form: Form, pieces: Pieces<'_>) -> Result<u64, StoreError> {
        self.put_object(&self.kept_name(key, form), pieces).await
    }

    /// Writes an object, in parts where it is large. At most two parts are in memory.
    async fn put_object(&self, name: &str, mut pieces: Pieces<'_>) -> Result<u64, StoreError> {
        let path = Path::from(name);
        let first = fill(&mut pieces).await?;
        if first.len() < PART_BYTES {
            let bytes = first.len() as u64;
            self.put_small(name, first).await?;
            return Ok(bytes);
        }
        let mut upload = within(self.wait(), self.parts.store.put_multipart(&path)).await?;
        let mut bytes = 0;
        let mut part = first;
        let outcome = loop {
            bytes += part.len() as u64;
            let is_last = part.len() < PART_BYTES;
            let sent = upload.put_part(PutPayload::from(part));
            if let Err(error) = within(self.wait() * PART_WAITS, sent).await {
                break Err(error);
            }
            if is_last {
                break Ok(());
            }
            match fill(&mut pieces).await {
                Ok(more) if more.is_empty() => break Ok(()),
                Ok(more) => part = more,
                Err(error) => break Err(error),
            }
        };
        match outcome {
            Ok(()) => within(self.wait() * PART_WAITS, upload.complete())
                .await
                .map(|_| bytes),
            Err(error) => {
                // Parts that stay are removed by the bucket's lifecycle rule; docs/operations.md names it.
                let _ = within(self.wait(), upload.abort()).await;
                Err(error)
            }
        }
    }

    async fn put_small(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        let path = Path::from(name);
        let put = self.parts.store.put(&path, PutPayload::from(bytes));
        within(self.wait() * PART_WAITS, put).await.map(|_| ())
    }

    pub(super) async fn read(&self, key: &Key, form: Form, wanted: Wanted) -> Result<Read, StoreError> {
        let name = self.kept_name(key, form);
        let range = match wanted {
            Wanted::All => None,
            Wanted::Between(first, last) => Some(GetRange::Bounded(first..last.saturating_add(1))),
            Wanted::From(first) => Some(GetRange::Offset(first)),
            // Not all services know a range from the end.
            Wanted::Last(_) => Some(GetRange::Bounded(wanted.of(self.head(&name).await?.size)?)),
        };
        let is_part = range.is_some();
        match self.get(&name, range).await {
            // An answer of 416 does not tell the size.
            Err(error) if is_part && error != StoreError::NotFound => {
                let total = self.head(&name).await?.size;
                wanted.of(total).and(Err(error))
            }
            other => other,
        }
    }

    async fn get(&self, name: &str, range: Option<GetRange>) -> Result<Read, StoreError> {
        let path = Path::from(name);
        let options = GetOptions {
            range,
            ..GetOptions::default()
        };
        let got = within(self.wait(), self.parts.store.get_opts(&path, options)).await?;
        let (total, range) = (got.meta.size, got.range.clone());
        Ok(Read {
            total,
            range,
            bytes: bounded(got.into_stream(), self.wait()),
        })
    }

    pub(super) async fn size(&self, key: &Key, form: Form) -> Result<u64, StoreError> {
        Ok(self.head(&self.kept_name(key, form)).await?.size)
    }

    async fn head(&self, name: &str) -> Result<ObjectMeta, StoreError> {
        within(self.wait(), self.parts.store.head(&Path::from(name))).await
    }

    pub(super) async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        let names: Vec<String> = Form::all().map(|form| self.kept_name(key, form)).collect();
        self.delete_objects(&names).await?;
        self.discard(key).await
    }

    async fn delete_objects(&self, names: &[String]) -> Result<(), StoreError> {
        let deleting = names.iter().map(|name| async move {
            match within(self.wait(), self.parts.store.delete(&Path::from(name.as_str()))).await {
                Err(StoreError::NotFound) => Ok(()),
                other => other,
            }
        });
        join_all(deleting).await.into_iter().collect()
    }

    pub(super) fn list(&self, after: Option<Key>) -> Listing {
        let prefix = format!("{}kept", self.parts.prefix);
        // Behind all forms of the key.
        let after = after.map(|key| format!("{}.z", self.kept_name(&key, Form::Served)));
        let listed = self.objects(&prefix, after.as_deref());
        Box::pin(listed.try_filter_map(|object| async move {
            let known = object.location.filename().and_then(Form::of_name);
            Ok(known.map(|(key, form)| Stored {
                key,
                form,
                bytes: object.size,
                modified_ms: object.last_modified.timestamp_millis(),
            }))
        }))
    }

    pub(super) fn list_staged(&self) -> Uploads {
        let prefix = format!("{}incoming", self.parts.prefix);
        let skipped = prefix.clone();
        let listed = self.objects(&prefix, None);
        Box::pin(listed.try_filter_map(move |object| {
            let name = object.location.as_ref().strip_prefix(&skipped).map(str::to_owned);
            async move {
                let name = name.as_deref().unwrap_or_default().trim_start_matches('/');
                let key = name.split('.').next().and_then(|key| key.parse().ok());
                let modified_ms = object.last_modified.timestamp_millis();
                Ok(key.map(|key| Staged { key, modified_ms }))
            }
        }))
    }

    /// The objects below a prefix, page by page.
    fn objects(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> impl futures_util::Stream<Item = Result<ObjectMeta, StoreError>> + Send + 'static {
        let prefix = Path::from(prefix);
        let listed = match after {
            Some(after) => self
                .parts
                .store
                .list_with_offset(Some(&prefix), &Path::from(after)),
            None => self.parts.store.list(Some(&prefix)),
        };
        waiting(listed, self.wait())
    }

    /// Copies what is staged to a name of this attempt: a ticket may write the staged object again, at any time.
    pub(super) async fn seal(&self, key: &Key) -> Result<Option<Sealed>, StoreError> {
        let staged = self.staged_name(key);
        let sealed = format!("{}/{}", self.sealed_name(key), Key::random());
        match self.head(&staged).await {
            Ok(_) => self.copy(&staged, &sealed).await?,
            Err(StoreError::NotFound) => {
                if !self.join_pieces(key, &sealed).await? {
                    return Ok(None);
                }
            }
            Err(error) => return Err(error),
        }
        Ok(Some(Sealed(sealed)))
    }

    pub(super) async fn read_sealed(&self, sealed: &Sealed) -> Result<Read, StoreError> {
        self.get(&sealed.0, None).await
    }

    pub(super) async fn keep(&self, key: &Key, sealed: &Sealed, form: Form) -> Result<(), StoreError> {
        self.copy(&sealed.0, &self.kept_name(key, form)).await
    }

    pub(super) async fn discard(&self, key: &Key) -> Result<(), StoreError> {
        self.delete_below(&self.pieces_name(key)).await?;
        self.delete_below(&self.sealed_name(key)).await?;
        self.delete_objects(&[self.staged_name(key)]).await
    }

    async fn delete_below(&self, prefix: &str) -> Result<(), StoreError> {
        let objects = self.objects(prefix, None);
        let names: Vec<String> = objects
            .map_ok(|object| object.location.to_string())
            .try_collect()
            .await?;
        self.delete_objects(&names).await
    }

    async fn copy(&self, from: &str, to: &str) -> Result<(), StoreError> {
        let (from, to) = (Path::from(from), Path::from(to));
        within(self.wait() * PART_WAITS, self.parts.store.copy(&from, &to)).await
    }

    async fn is_kept(&self, key: &Key) -> Result<bool, StoreError> {
        for form in [Form::Served, Form::Uploaded] {
            match self.size(key, form).await {
                Ok(_) => return Ok(true),
                Err(StoreError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    fn staged_name(&self, key: &Key) -> String {
        format!("{}incoming/{key}", self.parts.prefix)
    }

    fn sealed_name(&self, key: &Key) -> String {
        format!("{}.sealed", self.staged_name(key))
    }

    fn kept_name(&self, key: &Key, form: Form) -> String {
        let (outer, inner) = key.folders();
        format!("{}kept/{outer}/{inner}/{}", self.parts.prefix, form.name(key))
    }

    fn bucket(&self) -> &str {
        &self.parts.bucket
    }

    fn wait(&self) -> Duration {
        self.parts.settings.timeout()
    }
}

/// The next part of a sender's bytes; shorter ones are the last, an empty one comes after the end.
async fn fill(pieces: &mut Pieces<'_>) -> Result<Bytes, StoreError> {
    let mut part = Vec::new();
    while part.len() < PART_BYTES {
        match next(pieces).await? {
            Some(piece) => part.extend_from_slice(&piece),
            None => break,
        }
    }
    Ok(part.into())
}

/// Bytes whose every piece comes in time.
fn bounded(
    bytes: futures_util::stream::BoxStream<'static, object_store::Result<Bytes>>,
    wait: Duration,
) -> Bytestream {
    Box::pin(waiting(bytes, wait))
}

fn waiting<T: Send + 'static>(
    items: stream::BoxStream<'static, object_store::Result<T>>,
    wait: Duration,
) -> impl futures_util::Stream<Item = Result<T, StoreError>> + Send + 'static {
    stream::unfold(Some(items), move |items| async move {
        let mut items = items?;
        match tokio::time::timeout(wait, items.next()).await {
            Ok(Some(Ok(item))) => Some((Ok(item), Some(items))),
            Ok(Some(Err(error))) => Some((Err(kind(&error)), None)),
            Ok(None) => None,
            Err(_) => Some((Err(slow()), None)),
        }
    })
}
