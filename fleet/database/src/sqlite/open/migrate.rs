//! The schema's version, and bringing it up to date.

use rusqlite::Connection;

use super::{make_durable, opening};
use crate::{Error, checksum, migrations};

/// Brings the schema to the version of this program.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), Error> {
    let version = version(connection).map_err(opening)?;
    if version > migrations::LATEST_VERSION {
        return Err(Error::Open(format!(
            "the database has schema version {version}, which is newer than this program's {}; run the newer program",
            migrations::LATEST_VERSION
        )));
    }
    let steps = migrations::for_sqlite().map_err(|error| Error::Open(error.to_string()))?;
    checksum::register(connection).map_err(opening)?;
    refinery::Runner::new(&steps)
        .set_abort_divergent(true)
        .set_abort_missing(true)
        // All steps and their history in one transaction. Else each step and its line of history are two, and a process
        // that dies between them leaves a file that never opens again.
        .set_grouped(true)
        .run(connection)
        .map_err(|error| Error::Open(format!("the schema cannot be brought up to date: {error}")))?;
    if version < migrations::LATEST_VERSION {
        // A step may rewrite all rows: this frees the room of its log, now or at the next start.
        make_durable(connection).map_err(opening)?;
    }
    Ok(())
}

/// The version that the file has; 0 when it is empty.
pub(crate) fn version(connection: &Connection) -> Result<i64, rusqlite::Error> {
    if !connection.table_exists(None, "refinery_schema_history")? {
        return Ok(0);
    }
    connection.query_row(
        "SELECT coalesce(max(version), 0) FROM refinery_schema_history",
        [],
        |row| row.get(0),
    )
}
