//! A start on a full disk. SQLite wants room before it reads: for the index of the log beside the file, and for the log's
//! checkpoint. Without room, readers build that index in their own memory, and nothing is written; once there is room the
//! file is served as usual.

use std::{
    fs::File,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{State, readers, serve};
use crate::{
    Error, LATEST_VERSION,
    migrations::Schema,
    sqlite::{
        guard::{self, Lock},
        open::{self, migrate},
        probe,
        vfs::{Layer, uri},
    },
};

/// Whether the disk of an existing file is full.
///
/// # Errors
/// [`Error::Full`] for a file that is still to be created: there is nothing to read.
pub(super) fn is_starved(path: &Path) -> Result<bool, Error> {
    match probe::try_room_beside(path) {
        Err(full @ Error::Full(_)) if !path.is_file() => Err(full),
        Err(Error::Full(_)) => Ok(true),
        // Opening the file describes any other error better.
        Err(_) | Ok(()) => Ok(false),
    }
}

/// Locks a file for this process alone, as at any start, but changes nothing: the mark stays with its log.
pub(super) fn acquire(path: &Path) -> Result<Lock, Error> {
    let mut lock = Lock::beside(path)?;
    lock.acquire_itself(path)?;
    guard::refuse_damage(path)?;
    Ok(lock)
}

/// Starts readers that write nothing.
pub(super) fn read_only(path: &Path, layer: Layer, lock: &Arc<Lock>) -> Result<State, Error> {
    let failed = |error: std::io::Error| Error::Open(format!("{}: {error}", path.display()));
    // Invariant I1: visible rows are on the disk. The log cannot be moved into the file now, but it can be synced.
    match File::open(guard::log_of(path)) {
        Ok(log) => log.sync_all().map_err(failed)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    // SQLite looks for the index's file before it does without it. An empty file needs no room.
    File::options()
        .create(true)
        .append(true)
        .open(guard::beside(path, "-shm"))
        .map_err(failed)?;
    let unindexed = unindexed(path);
    let readers = readers(Some(lock), || {
        let connection = open::reader(&unindexed, layer)?;
        match migrate::version(&connection)? {
            LATEST_VERSION => Ok(connection),
            version => Err(Error::Open(format!(
                "the schema has version {version} and must be brought up to date, for which the disk has no room"
            ))),
        }
    })?;
    let lock = lock.clone();
    Ok(State::Starved { readers, lock })
}

/// The name by which SQLite opens a file without writing the index of its log.
fn unindexed(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut name = uri(&absolute);
    name.push_str("?readonly_shm=1");
    name.into()
}

/// The error of a write meanwhile.
pub(super) fn no_room() -> Error {
    Error::Full("it was full at the start; the file is read meanwhile".into())
}

/// Serves the file as usual; where that fails, starts readers again.
pub(super) fn reopen(
    path: &Path,
    layer: Layer,
    lock: &Arc<Lock>,
) -> Result<(State, Result<(), Error>), Error> {
    match guard::forget_mark(path).and_then(|()| serve(path, layer, Schema::Migrate, lock)) {
        Ok(state) => Ok((state, Ok(()))),
        Err(error) => {
            tracing::debug!(%error, "the file cannot be opened for writing yet");
            Ok((read_only(path, layer, lock)?, Err(no_room())))
        }
    }
}
