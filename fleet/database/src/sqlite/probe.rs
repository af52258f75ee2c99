//! A write that changes nothing, to see whether writes go.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::Path,
};

use rusqlite::Connection;

use super::{guard, worker};
use crate::Error;

/// Room that is asked for after the disk was full, bytes: a batch of some hundred messages.
const ROOM_BYTES: usize = 256 * 1024;

/// Writes the first page anew and commits it. After the disk was full that is not enough: the log has old room that is
/// used again, and the next message would find none.
pub(super) fn write(connection: &mut Connection, path: &Path, needs_room: bool) -> Result<(), Error> {
    if needs_room {
        take_room_beside(path)?;
        take_pages(connection)?;
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    // A statement that sets a value to what it is writes nothing, but for this one.
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    connection.execute_batch(&format!("PRAGMA user_version = {version}"))?;
    worker::commit(connection)
}

/// Room on the disk, for the log.
pub(super) fn take_room_beside(path: &Path) -> Result<(), Error> {
    let room = guard::beside(path, "-room");
    let written = File::create(&room).and_then(|mut file| {
        file.write_all(&[0x5a; ROOM_BYTES])?;
        file.sync_data()
    });
    // A program that looks at the same file may have removed it.
    let _ = fs::remove_file(&room);
    written.map_err(|error| of_io(&error))
}

/// Room in the file, which may be limited as well.
fn take_pages(connection: &Connection) -> Result<(), Error> {
    let taken = connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; CREATE TABLE huizhen_room (filler BLOB); INSERT INTO huizhen_room VALUES (zeroblob({ROOM_BYTES}));"
    ));
    if !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    Ok(taken?)
}

/// What the operating system says of a file.
pub(super) fn of_io(error: &std::io::Error) -> Error {
    let told = error.to_string();
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::Full(told),
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => Error::ReadOnly(told),
        _ => Error::Engine(told),
    }
}
