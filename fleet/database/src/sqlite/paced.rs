//! A checkpoint that writes a little and syncs a little. SQLite writes all pages of a pass first and syncs them then; the
//! disk is busy with them for many milliseconds, and the commits that sync the log meanwhile wait for all of it.

use std::{
    cell::Cell,
    ffi::{c_int, c_void},
    sync::OnceLock,
};

use rusqlite::{Connection, ffi};

use crate::Error;

/// So many bytes are written between two syncs: a third of a millisecond for a disk that writes 1 GB/s.
const BYTES: i64 = 256 * 1024;

/// SQLite's own methods of a file, and the same with [`write`].
static PLAIN: OnceLock<ffi::sqlite3_io_methods> = OnceLock::new();
static PACED: OnceLock<ffi::sqlite3_io_methods> = OnceLock::new();

thread_local! {
    /// Written since the last sync by this thread, which is a checkpointer's: it has one file.
    static UNSYNCED: Cell<i64> = const { Cell::new(0) };
    static FAILED: Cell<c_int> = const { Cell::new(ffi::SQLITE_OK) };
    #[cfg(test)]
    static SYNCS: Cell<u32> = const { Cell::new(0) };
}

/// The database file of a connection, paced from now on. To be used by the thread that calls this, and before the
/// connection, which owns it, is closed.
pub(super) struct PacedFile {
    file: *mut ffi::sqlite3_file,
}

impl PacedFile {
    /// Paces the writes of a connection to its database.
    ///
    /// # Errors
    /// When SQLite does not give the file.
    pub(super) fn of(connection: &Connection) -> Result<Self, Error> {
        let file = file_of(connection, ffi::SQLITE_FCNTL_FILE_POINTER)?;
        #[allow(unsafe_code, reason = "rusqlite has no safe way to a file's methods")]
        // SAFETY: the file is open, and its connection is this thread's alone. Its methods are a constant of SQLite's, the
        // same for every file of the default VFS, and what replaces them lives as long as the process.
        unsafe {
            if let Some(opened) = file.as_mut()
                && let Some(methods) = opened.pMethods.as_ref()
            {
                let plain = PLAIN.get_or_init(|| *methods);
                opened.pMethods = PACED.get_or_init(|| ffi::sqlite3_io_methods {
                    xWrite: Some(write),
                    ..*plain
                });
            }
        }
        if PLAIN.get().is_none() {
            return Err(failure(ffi::SQLITE_ERROR));
        }
        Ok(Self { file })
    }

    /// Syncs what is left. SQLite does so only in the pass that moves the log's very end; under constant load that is the
    /// writer's, and every commit would wait until all that the other passes have left to the kernel is on the disk.
    ///
    /// # Errors
    /// When this or a sync since the last call failed: a file system tells once what it lost.
    pub(super) fn sync(&self) -> Result<(), Error> {
        let earlier = FAILED.replace(ffi::SQLITE_OK);
        let now = sync(self.file);
        match earlier.max(now) {
            ffi::SQLITE_OK => Ok(()),
            code => Err(failure(code)),
        }
    }
}

/// A file of a connection: `what` is one of SQLite's controls that ask for the pointer to one. It is valid while the
/// connection is open.
///
/// # Errors
/// When SQLite does not give it.
pub(super) fn file_of(connection: &Connection, what: c_int) -> Result<*mut ffi::sqlite3_file, Error> {
    let mut file: *mut ffi::sqlite3_file = std::ptr::null_mut();
    #[allow(unsafe_code, reason = "rusqlite has no safe way to a file")]
    // SAFETY: the connection is open, and SQLite writes a pointer to `file`.
    let code = unsafe {
        ffi::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            what,
            (&raw mut file).cast(),
        )
    };
    if code != ffi::SQLITE_OK || file.is_null() {
        return Err(failure(code.max(ffi::SQLITE_ERROR)));
    }
    Ok(file)
}

pub(super) fn failure(code: c_int) -> Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into()
}

/// SQLite's own method, and a sync when enough has been written.
extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    data: *const c_void,
    amount: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    let Some(plain) = PLAIN.get().and_then(|plain| plain.xWrite) else {
        return ffi::SQLITE_IOERR_WRITE;
    };
    #[allow(unsafe_code, reason = "a method of SQLite's, called as SQLite does")]
    // SAFETY: SQLite calls this with what its own method wants.
    let code = unsafe { plain(file, data, amount, offset) };
    if code != ffi::SQLITE_OK {
        return code;
    }
    let unsynced = UNSYNCED.get() + i64::from(amount);
    UNSYNCED.set(unsynced);
    if unsynced < BYTES {
        return ffi::SQLITE_OK;
    }
    let code = sync(file);
    if code != ffi::SQLITE_OK {
        FAILED.set(code);
    }
    code
}

fn sync(file: *mut ffi::sqlite3_file) -> c_int {
    UNSYNCED.set(0);
    #[cfg(test)]
    SYNCS.set(SYNCS.get() + 1);
    let Some(plain) = PLAIN.get().and_then(|plain| plain.xSync) else {
        return ffi::SQLITE_IOERR_FSYNC;
    };
    #[allow(unsafe_code, reason = "a method of SQLite's, called as SQLite does")]
    // SAFETY: the file is open: either SQLite is writing to it, or its connection lives beside the `PacedFile`.
    unsafe {
        plain(file, ffi::SQLITE_SYNC_NORMAL | ffi::SQLITE_SYNC_DATAONLY)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails says where")]

    use super::*;

    #[test]
    fn a_checkpoint_syncs_as_it_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let writer = Connection::open(&path).unwrap();
        writer
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (b BLOB);
                 INSERT INTO t VALUES (zeroblob(2097152))",
            )
            .unwrap();
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "synchronous", "NORMAL").unwrap();
        let file = PacedFile::of(&connection).unwrap();
        let (busy, log, moved): (i64, i64, i64) = connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap();
        assert_eq!((busy, moved), (0, log));
        // 2 MiB in eighths; the log is none of the database's file.
        assert!(SYNCS.get() >= 8, "{}", SYNCS.get());
        let syncs = SYNCS.get();
        file.sync().unwrap();
        assert_eq!((SYNCS.get(), UNSYNCED.get()), (syncs + 1, 0));
        // A failure in between is told once, though the last sync went well.
        FAILED.set(ffi::SQLITE_IOERR_FSYNC);
        file.sync().unwrap_err();
        file.sync().unwrap();
        // The file is like any other for SQLite.
        drop((connection, writer));
        let reader = Connection::open(&path).unwrap();
        let length: i64 = reader
            .query_row("SELECT length(b) FROM t", [], |row| row.get(0))
            .unwrap();
        assert_eq!(length, 2_097_152);
    }
}
