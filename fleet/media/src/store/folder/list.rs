//! Lists the kept files, one folder at a time, in the order of their keys.

use std::{
    collections::VecDeque,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::{TryStreamExt, stream};

use super::{
    super::{Form, Key, Listing, Staged, Stored, Uploads},
    below, blocking,
    files::{INCOMING, KEPT, modified_ms},
};

/// Where a listing is: folders and files yet to come, the next ones first.
struct Walk {
    after: Option<Key>,
    outer: VecDeque<PathBuf>,
    inner: VecDeque<PathBuf>,
    files: VecDeque<Stored>,
}

/// The kept files behind a key.
pub(super) fn kept(root: Arc<Path>, after: Option<Key>) -> Listing {
    let walk = Walk {
        after,
        outer: VecDeque::from([below(&root, &[KEPT])]),
        inner: VecDeque::new(),
        files: VecDeque::new(),
    };
    // The first folder is the one above the outer folders.
    Box::pin(stream::unfold(Some((walk, false)), |state| async {
        let (walk, is_open) = state?;
        match blocking(move || walk.step(is_open)).await {
            Ok((walk, Some(stored))) => Some((Ok(stored), Some((walk, true)))),
            Ok((_, None)) => None,
            Err(error) => Some((Err(error), None::<(Walk, bool)>)),
        }
    }))
}

/// The uploads without an end. Their folder is read as a whole: it has those of a day.
pub(super) fn staged(root: Arc<Path>) -> Uploads {
    let read = blocking(move || uploads(&below(&root, &[INCOMING])));
    let listed = stream::once(read).map_ok(|found| stream::iter(found.into_iter().map(Ok)));
    Box::pin(listed.try_flatten())
}

fn uploads(folder: &Path) -> io::Result<Vec<Staged>> {
    let mut found = Vec::new();
    for path in names(folder)? {
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(key) = name.and_then(|name| name.split('.').next()?.parse().ok()) else {
            continue;
        };
        if let Some(metadata) = metadata(&path)? {
            let modified_ms = modified_ms(&metadata);
            found.push(Staged { key, modified_ms });
        }
    }
    Ok(found)
}

/// `None` for a file that is gone.
fn metadata(path: &Path) -> io::Result<Option<fs::Metadata>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Walk {
    /// The next file.
    fn step(mut self, is_open: bool) -> io::Result<(Self, Option<Stored>)> {
        if !is_open && let Some(root) = self.outer.pop_front() {
            self.outer = names(&root)?;
        }
        loop {
            if let Some(stored) = self.files.pop_front() {
                return Ok((self, Some(stored)));
            }
            if let Some(folder) = self.inner.pop_front() {
                self.files = files(&folder, self.after.as_ref())?;
            } else if let Some(folder) = self.outer.pop_front() {
                self.inner = names(&folder)?;
            } else {
                return Ok((self, None));
            }
        }
    }
}

/// The paths in a folder, sorted. A folder that is gone has none.
fn names(folder: &Path) -> io::Result<VecDeque<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(VecDeque::new()),
        Err(error) => return Err(error),
    };
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    found.sort();
    Ok(found.into())
}

/// The files of a folder that are ours, sorted.
fn files(folder: &Path, after: Option<&Key>) -> io::Result<VecDeque<Stored>> {
    let mut found = VecDeque::new();
    for path in names(folder)? {
        let name = path.file_name().and_then(|name| name.to_str());
        let Some((key, form)) = name.and_then(Form::of_name) else {
            continue;
        };
        if after.is_some_and(|after| key <= *after) {
            continue;
        }
        if let Some(metadata) = metadata(&path)? {
            found.push_back(Stored {
                key,
                form,
                bytes: metadata.len(),
                modified_ms: modified_ms(&metadata),
            });
        }
    }
    Ok(found)
}
