//! The files of the folder, one blocking operation each.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::{
    super::{Form, Key, StoreError},
    below,
};

pub(super) const INCOMING: &str = "incoming";
pub(super) const KEPT: &str = "kept";

/// A file among the incoming ones.
pub(super) fn incoming(root: &Path, name: &str) -> PathBuf {
    below(root, &[INCOMING, name])
}

/// The file of a staged upload.
pub(super) fn staged(root: &Path, key: &Key) -> PathBuf {
    incoming(root, key.as_str())
}

/// The name of a sealed upload. It has one, so that a crash leaves it to the next attempt.
pub(super) fn sealed_name(key: &Key) -> String {
    format!("{key}.sealed")
}

/// The file of a kept form.
pub(super) fn kept(root: &Path, key: &Key, form: Form) -> PathBuf {
    let (outer, inner) = key.folders();
    below(root, &[KEPT, outer, inner, &form.name(key)])
}

/// Makes the folders.
pub(super) fn prepare(root: &Path) -> io::Result<()> {
    make_folder(root)?;
    make_folder(&below(root, &[INCOMING]))?;
    make_folder(&below(root, &[KEPT]))
}

/// Opens a staged upload for appending, locked against other writers.
pub(super) fn open_staged(root: &Path, key: &Key, offset: u64) -> Result<Locked, StoreError> {
    if is_sealed(root, key)? || is_kept(root, key)? {
        return Err(StoreError::NotFound);
    }
    let path = staged(root, key);
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&path)?;
    let file = lock(file, &path)?;
    let received = file.0.metadata()?.len();
    if received == offset {
        Ok(file)
    } else {
        Err(StoreError::WrongOffset { received })
    }
}

/// A file that is locked against other writers, until this is dropped.
#[derive(Debug)]
pub(super) struct Locked(pub(super) File);

impl Drop for Locked {
    fn drop(&mut self) {
        // To close it is not enough: a program that this process starts has a copy of each open file for a moment, and
        // with it the lock. Where the unlock fails, closing must do.
        let _ = self.0.unlock();
    }
}

/// Locks a file that still has this path: between its opening and its lock it may have been kept or deleted.
fn lock(file: File, path: &Path) -> Result<Locked, StoreError> {
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StoreError::Busy),
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    let file = Locked(file);
    if fs::metadata(path)?.ino() == file.0.metadata()?.ino() {
        Ok(file)
    } else {
        Err(StoreError::Busy)
    }
}

/// Whether the upload is kept already.
fn is_kept(root: &Path, key: &Key) -> io::Result<bool> {
    Ok(kept(root, key, Form::Served).try_exists()? || kept(root, key, Form::Uploaded).try_exists()?)
}

fn is_sealed(root: &Path, key: &Key) -> io::Result<bool> {
    incoming(root, &sealed_name(key)).try_exists()
}

/// Syncs a staged upload, and moves it to where no sender writes. Returns whether there is a sealed one now. After a crash
/// it may be staged again: the finish was not answered.
pub(super) fn seal(root: &Path, key: &Key) -> Result<bool, StoreError> {
    if is_sealed(root, key)? {
        return Ok(true);
    }
    let from = staged(root, key);
    let file = match File::open(&from) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let file = lock(file, &from)?;
    file.0.sync_all()?;
    fs::rename(&from, incoming(root, &sealed_name(key)))?;
    Ok(true)
}

/// Gives a sealed upload its kept name. One that another attempt has kept is kept.
pub(super) fn keep(root: &Path, from: &Path, key: &Key, form: Form) -> io::Result<()> {
    match move_kept(root, from, key, form) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && kept(root, key, form).try_exists()? => {
            Ok(())
        }
        other => other,
    }
}

/// Deletes what is staged or sealed. A crash may bring it back, unread by anybody: it is swept like an upload without an end.
pub(super) fn discard(root: &Path, key: &Key) -> io::Result<()> {
    remove(&staged(root, key))?;
    remove(&incoming(root, &sealed_name(key)))?;
    Ok(())
}

/// Moves a synced file to its kept name, and syncs the folders. The name of a smaller picture need not outlive a crash: it is
/// made again, and each sync keeps the log of a chat on the same disk waiting.
fn move_kept(root: &Path, from: &Path, key: &Key, form: Form) -> io::Result<()> {
    let (outer, inner) = key.folders();
    make_folder(&below(root, &[KEPT, outer]))?;
    make_folder(&below(root, &[KEPT, outer, inner]))?;
    fs::rename(from, kept(root, key, form))?;
    match form {
        Form::Smaller(_) => Ok(()),
        Form::Served | Form::Uploaded => sync_folder(&below(root, &[KEPT, outer, inner])),
    }
}

/// Deletes all files of a medium.
pub(super) fn delete(root: &Path, key: &Key) -> io::Result<()> {
    let forms = Form::all().map(|form| kept(root, key, form));
    let mut was_kept = false;
    for path in forms {
        was_kept |= remove(&path)?;
    }
    discard(root, key)?;
    if was_kept {
        let (outer, inner) = key.folders();
        sync_folder(&below(root, &[KEPT, outer, inner]))?;
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A new file under a temporary name, which goes with it unless it is kept.
pub(super) struct New {
    pub(super) file: File,
    path: Option<PathBuf>,
}

impl New {
    pub(super) fn create(root: &Path) -> io::Result<Self> {
        let path = staged(root, &Key::random());
        let file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&path)?;
        Ok(Self {
            file,
            path: Some(path),
        })
    }

    pub(super) fn keep(mut self, root: &Path, key: &Key, form: Form) -> io::Result<()> {
        self.file.sync_all()?;
        if let Some(path) = &self.path {
            move_kept(root, path, key, form)?;
        }
        self.path = None;
        Ok(())
    }
}

impl Drop for New {
    fn drop(&mut self) {
        // A file that stays is swept like an upload without an end.
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

/// Makes a folder for this user alone, and syncs the one above, so that it is there after a crash.
fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    if let Some(above) = above.filter(|above| !above.is_dir()) {
        make_folder(above)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    sync_folder(above.unwrap_or(Path::new(".")))
}

/// When a file was last written, Unix time in milliseconds.
pub(super) fn modified_ms(metadata: &fs::Metadata) -> i64 {
    metadata.mtime() * 1000 + metadata.mtime_nsec() / 1_000_000
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a program that is being started has one.
    #[test]
    fn a_copy_of_an_open_file_keeps_no_lock() {
        let root = tempfile::tempdir().unwrap();
        prepare(root.path()).unwrap();
        let key = Key::random();
        let open = || open_staged(root.path(), &key, 0);
        let first = open().unwrap();
        let _copy = first.0.try_clone().unwrap();
        assert_eq!(open().unwrap_err(), StoreError::Busy);
        drop(first);
        open().unwrap();
    }
}
