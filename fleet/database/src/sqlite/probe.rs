//! A write that changes nothing, to probe whether writes succeed.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

use rusqlite::Connection;

use super::{failure, guard, transaction::commit};
use crate::Error;

/// Room that is demanded after the disk was full, bytes: a batch of some hundred messages.
const ROOM_BYTES: usize = 256 * 1024;

/// Writes the first page again and commits it. After the disk was full that is not enough: the log has old room that is
/// reused, and the next message would find none.
pub(super) fn write(connection: &mut Connection, path: &Path, needs_room: bool) -> Result<(), Error> {
    if needs_room {
        try_room_beside(path)?;
        try_pages(connection)?;
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    // Of the statements that set a value to itself, only this one writes.
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    connection.execute_batch(&format!("PRAGMA user_version = {version}"))?;
    commit(connection)
}

/// Room on the disk, for the log.
pub(super) fn try_room_beside(path: &Path) -> Result<(), Error> {
    let room = guard::beside(path, "-room");
    let written = File::create(&room).and_then(|mut file| {
        file.write_all(&[0x5a; ROOM_BYTES])?;
        file.sync_data()
    });
    // Another program that probes the same file may have removed it.
    let _ = fs::remove_file(&room);
    written.map_err(|error| failure::of_io(&error))
}

/// Room in the file, which may be limited as well.
fn try_pages(connection: &Connection) -> Result<(), Error> {
    let taken = connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; CREATE TABLE huizhen_room (filler BLOB); INSERT INTO huizhen_room VALUES (zeroblob({ROOM_BYTES}));"
    ));
    if !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    Ok(taken?)
}
