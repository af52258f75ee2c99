//! A start on a full disk. SQLite wants room before it reads: an index of the log beside the file, and the log's checkpoint.
//! Where there is none, readers build that index in their own memory, and nothing is written; once there is room the file is
//! opened as ever.

use std::{
    fs::File,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Inner, Layer, Parts, READERS, Sqlite, guard, lock::Lock, open, probe, worker::Worker};
use crate::{Error, LATEST_VERSION, Schema};

/// Whether the disk of a file that is there is full.
///
/// # Errors
/// [`Error::Full`] for a file that is not there yet: there is nothing to read.
pub(super) fn is_starved(path: &Path) -> Result<bool, Error> {
    match probe::take_room_beside(path) {
        Err(full @ Error::Full(_)) if !path.is_file() => Err(full),
        Err(Error::Full(_)) => Ok(true),
        // Opening the file says better what is wrong.
        Err(_) | Ok(()) => Ok(false),
    }
}

/// Takes a file for this process alone, as at any start, but leaves everything as it is: the mark stays with its log.
pub(super) fn take(path: &Path) -> Result<Lock, Error> {
    let mut lock = Lock::beside(path)?;
    lock.take_itself(path)?;
    guard::refuse_damage(path)?;
    Ok(lock)
}

/// Readers that write nothing.
pub(super) fn read_only(path: &Path, layer: Layer, lock: &Arc<Lock>) -> Result<Parts, Error> {
    let told = |error: std::io::Error| Error::Open(format!("{}: {error}", path.display()));
    // Invariant I1: what is seen is on the disk. It cannot be moved into the file now, but it can be synced.
    match File::open(guard::log_of(path)) {
        Ok(log) => log.sync_all().map_err(told)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(told(error)),
    }
    // SQLite asks for the file of the index before it does without it. An empty one needs no room.
    File::options()
        .create(true)
        .append(true)
        .open(guard::beside(path, "-shm"))
        .map_err(told)?;
    let unindexed = unindexed(path);
    let readers = (0..READERS).map(|at| {
        let connection = open::reader(&unindexed, layer)?;
        let version = open::schema_version(&connection)?;
        if version != LATEST_VERSION {
            return Err(Error::Open(format!(
                "the schema has version {version} and must be brought up to date, for which the disk has no room"
            )));
        }
        let name = format!("sqlite-reader-{at}");
        Ok(Worker::start(&name, connection, Some(lock.clone()), None))
    });
    Ok(Parts {
        writer: None,
        readers: readers.collect::<Result<_, Error>>()?,
        starved: Some(lock.clone()),
    })
}

/// The name by which SQLite opens a file without writing the index of its log.
fn unindexed(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut name = String::from("file:");
    for byte in absolute.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(byte) {
            name.push(char::from(*byte));
        } else {
            name.push_str(&format!("%{byte:02x}"));
        }
    }
    name.push_str("?readonly_shm=1");
    name.into()
}

/// What a write is refused with.
pub(super) fn no_room() -> Error {
    Error::Full("it was full at the start; the file is read meanwhile".into())
}

impl Parts {
    /// Why there is no writer.
    pub(super) fn without_writer(&self) -> Error {
        match self.starved {
            Some(_) => no_room(),
            None => Error::Closed,
        }
    }
}

impl Inner {
    /// Opens the file as ever, if there is room by now. Readers wait meanwhile: while one connection of the process reads
    /// without the index, none can write it.
    pub(super) async fn find_room(&self) -> Result<(), Error> {
        let mut parts = self.parts.write().await;
        let Some(lock) = parts.starved.clone() else {
            return Ok(());
        };
        let path = self.path.clone();
        let looked = tokio::task::spawn_blocking(move || probe::take_room_beside(&path)).await;
        looked.map_err(|_| Error::Panicked)??;
        for reader in &parts.readers {
            reader.close().await;
        }
        parts.readers.clear();
        let (path, layer) = (self.path.clone(), self.layer);
        let opened = tokio::task::spawn_blocking(move || reopen(&path, layer, &lock)).await;
        let (opened, outcome) = opened.map_err(|_| Error::Panicked)??;
        *parts = opened;
        outcome
    }
}

/// Opens the file as ever; where that fails, once more for reading.
fn reopen(path: &Path, layer: Layer, lock: &Arc<Lock>) -> Result<(Parts, Result<(), Error>), Error> {
    let whole =
        guard::forget_mark(path).and_then(|()| Sqlite::whole(path, layer, Schema::Migrate, lock.clone()));
    match whole {
        Ok(parts) => Ok((parts, Ok(()))),
        Err(error) => {
            tracing::debug!(%error, "the file cannot be opened for writing yet");
            Ok((read_only(path, layer, lock)?, Err(no_room())))
        }
    }
}
