//! A folder: `incoming/KEY` is staged, `kept/ab/cd/KEY` (and `KEY.form`) is kept. Bytes are kept only once they and the
//! folders above are synced, so that a crash leaves either nothing or all of them. A crash may undo what is not synced: steps
//! before the answer, deletions that are repeated, and names of smaller pictures.

mod files;
mod list;

use std::{
    fs::File,
    io::{self, Read as _, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;

use super::{
    Bytestream, Form, Key, Listing, Outage, Pieces, Read, Sealed, StoreError, Uploads, Wanted, next,
};

/// The longest wait for the disk: a network file system may hang.
const DISK_WAIT: Duration = Duration::from_secs(30);
/// One read, bytes.
const READ_BYTES: usize = 64 * 1024;

/// A store in a folder. Processes of one machine may share it: locks are the file system's.
#[derive(Clone, Debug)]
pub struct Folder {
    root: Arc<Path>,
}

impl Folder {
    pub(super) async fn open(root: &Path) -> Result<Self, StoreError> {
        let folder = Self { root: root.into() };
        let root = folder.root.clone();
        blocking(move || files::prepare(&root)).await?;
        Ok(folder)
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.root
    }

    pub(super) async fn append(
        &self,
        key: &Key,
        offset: u64,
        total: u64,
        mut pieces: Pieces<'_>,
    ) -> Result<u64, StoreError> {
        let (root, wanted) = (self.root.clone(), key.clone());
        let mut file = blocking(move || Ok(files::open_staged(&root, &wanted, offset))).await??;
        let mut received = offset;
        let outcome = loop {
            let piece = match next(&mut pieces).await {
                Ok(Some(piece)) => piece,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            if piece.len() as u64 > total.saturating_sub(received) {
                break Err(StoreError::TooLong { total });
            }
            received += piece.len() as u64;
            file = blocking(move || file.0.write_all(&piece).map(|()| file)).await?;
        };
        blocking(move || file.0.sync_data()).await?;
        outcome.map(|()| received)
    }

    pub(super) async fn received(&self, key: &Key) -> Result<u64, StoreError> {
        let path = files::staged(&self.root, key);
        match blocking(move || path.metadata()).await {
            Ok(found) => Ok(found.len()),
            Err(StoreError::NotFound) => Ok(0),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn put(&self, key: &Key, form: Form, mut pieces: Pieces<'_>) -> Result<u64, StoreError> {
        let root = self.root.clone();
        let mut new = blocking(move || files::New::create(&root)).await?;
        let mut bytes = 0;
        while let Some(piece) = next(&mut pieces).await? {
            bytes += piece.len() as u64;
            new = blocking(move || new.file.write_all(&piece).map(|()| new)).await?;
        }
        let (root, key) = (self.root.clone(), key.clone());
        blocking(move || new.keep(&root, &key, form)).await?;
        Ok(bytes)
    }

    pub(super) async fn read(&self, key: &Key, form: Form, wanted: Wanted) -> Result<Read, StoreError> {
        read_file(files::kept(&self.root, key, form), wanted).await
    }

    pub(super) async fn size(&self, key: &Key, form: Form) -> Result<u64, StoreError> {
        let path = files::kept(&self.root, key, form);
        Ok(blocking(move || path.metadata()).await?.len())
    }

    pub(super) async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        let (root, key) = (self.root.clone(), key.clone());
        blocking(move || files::delete(&root, &key)).await
    }

    pub(super) fn list(&self, after: Option<Key>) -> Listing {
        list::kept(self.root.clone(), after)
    }

    pub(super) fn list_staged(&self) -> Uploads {
        list::staged(self.root.clone())
    }

    pub(super) async fn discard(&self, key: &Key) -> Result<(), StoreError> {
        let (root, key) = (self.root.clone(), key.clone());
        blocking(move || files::discard(&root, &key)).await
    }

    pub(super) async fn seal(&self, key: &Key) -> Result<Option<Sealed>, StoreError> {
        let (root, wanted) = (self.root.clone(), key.clone());
        let is_sealed = blocking(move || Ok(files::seal(&root, &wanted))).await??;
        Ok(is_sealed.then(|| Sealed(files::sealed_name(key))))
    }

    pub(super) async fn read_sealed(&self, sealed: &Sealed) -> Result<Read, StoreError> {
        read_file(files::incoming(&self.root, &sealed.0), Wanted::All).await
    }

    pub(super) async fn keep(&self, key: &Key, sealed: &Sealed, form: Form) -> Result<(), StoreError> {
        let (root, key) = (self.root.clone(), key.clone());
        let from = files::incoming(&root, &sealed.0);
        blocking(move || files::keep(&root, &from, &key, form)).await
    }
}

/// Opens a file, and reads its wanted part.
async fn read_file(path: PathBuf, wanted: Wanted) -> Result<Read, StoreError> {
    let (file, total) = blocking(move || {
        let file = File::open(path)?;
        let total = file.metadata()?.len();
        Ok((file, total))
    })
    .await?;
    let range = wanted.of(total)?;
    let bytes = stream_file(file, range.start, range.end - range.start);
    Ok(Read { total, range, bytes })
}

/// Runs an operation of files where it holds up no other task.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StoreError> {
    let running = tokio::task::spawn_blocking(work);
    match tokio::time::timeout(DISK_WAIT, running).await {
        Ok(Ok(done)) => done.map_err(StoreError::from),
        Ok(Err(_)) => Err(Outage::Faulty.because("the operation panicked")),
        Err(_) => Err(Outage::Slow.because("the disk does not answer")),
    }
}

/// The bytes of a file from a place on. Nothing is read before it is asked for.
fn stream_file(file: File, start: u64, count: u64) -> Bytestream {
    let state = Some((file, start, count));
    Box::pin(stream::unfold(state, |state| async {
        let (mut file, at, left) = state?;
        if left == 0 {
            return None;
        }
        let size = usize::try_from(left).map_or(READ_BYTES, |left| left.min(READ_BYTES));
        let read = blocking(move || {
            let mut piece = vec![0; size];
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut piece)?;
            Ok((file, Bytes::from(piece)))
        });
        match read.await {
            Ok((file, piece)) => {
                let state = (file, at + size as u64, left - size as u64);
                Some((Ok(piece), Some(state)))
            }
            Err(error) => Some((Err(error), None)),
        }
    }))
}

/// The path of a folder below the root.
fn below(root: &Path, parts: &[&str]) -> PathBuf {
    let mut path = root.to_owned();
    path.extend(parts);
    path
}
