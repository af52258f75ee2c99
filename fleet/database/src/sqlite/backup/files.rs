//! Files that are created whole or not at all.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use crate::{Error, sqlite::guard::beside};

/// A file that is removed again unless it is kept.
pub(super) struct Created<'p>(Option<&'p Path>);

impl<'p> Created<'p> {
    pub(super) fn new(path: &'p Path) -> Result<Self, Error> {
        create(path)?;
        Ok(Self(Some(path)))
    }

    pub(super) fn keep(mut self) {
        self.0 = None;
    }

    /// Removes an unfinished file, and the files that SQLite may have beside it.
    pub(super) fn remove(path: &Path) {
        for name in [
            path.to_owned(),
            beside(path, "-journal"),
            beside(path, "-wal"),
            beside(path, "-shm"),
        ] {
            let _ = fs::remove_file(name);
        }
    }
}

impl Drop for Created<'_> {
    fn drop(&mut self) {
        if let Some(path) = self.0 {
            Self::remove(path);
        }
    }
}

/// Creates a file for no other user to read: it holds what patients say.
pub(super) fn create(path: &Path) -> Result<(), Error> {
    let created = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    created.map(drop).map_err(|error| of_io(path, &error))
}

/// Makes a file's content durable; returns its size, bytes.
pub(super) fn sync(path: &Path) -> Result<u64, Error> {
    let synced = File::open(path).and_then(|file| {
        file.sync_all()?;
        Ok(file.metadata()?.len())
    });
    synced.map_err(|error| of_io(path, &error))
}

/// Makes a file's name durable.
pub(super) fn sync_folder(path: &Path) -> Result<(), Error> {
    let folder = folder_of(path);
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| of_io(folder, &error))
}

pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

pub(super) fn refuse<T>(reason: String) -> Result<T, Error> {
    Err(Error::Backup(reason))
}

pub(super) fn of_io(path: &Path, error: &io::Error) -> Error {
    Error::Backup(format!("{}: {error}", path.display()))
}

pub(super) fn of_sqlite(path: &Path, error: rusqlite::Error) -> Error {
    Error::Backup(match Error::from(error) {
        Error::DamagedPage(damage) => damage,
        other => format!("{}: {other}", path.display()),
    })
}
