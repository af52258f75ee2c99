//! A log that is written a commit at a time. SQLite writes each page of a commit with two calls, 24 bytes and the page; what
//! it writes one behind the other is gathered here and goes to the kernel as one piece, before anything else is done with the
//! file. A commit is synced before others may see it ([`super::open`] sets `synchronous = FULL`), so nobody ever looks for
//! what is still gathered but the connection itself, whose reads come by here. That holds on disks that do not spoil what lies
//! beside a write, as SQLite takes all to be unless it is told otherwise (`psow=0`); then nothing is gathered. What a
//! transaction that was given up has left is let go before anybody else can write ([`let_go`]).

use std::ffi::{c_int, c_void};

use rusqlite::{Connection, ffi};

use super::paced::{failure, file_of};
use crate::Error;

/// So much is gathered at most; what is longer goes in several pieces. SQLite writes no more at once: of a longer amount it
/// takes the lower 17 bits (`seekAndWriteFd`).
const BYTES: usize = 0x1_ffff;

/// Stands where the file's methods stood, and begins like them, so that a method finds what is gathered for its file.
#[repr(C)]
struct Gathered {
    methods: ffi::sqlite3_io_methods,
    plain: &'static ffi::sqlite3_io_methods,
    /// Where in the file `bytes` belong.
    start: i64,
    bytes: Vec<u8>,
    /// Why something gathered was lost while the file was asked something else than to write. The next sync says it, so that
    /// no commit that needs it goes through.
    lost: Option<c_int>,
    /// What the log's header holds: a log that begins anew has others.
    salts: Option<[u32; 2]>,
    #[cfg(test)]
    pieces: u32,
    #[cfg(test)]
    failing: Option<c_int>,
}

/// Gathers what a connection writes to its log from now on, until it is closed. The log must be open: it is after the first
/// read.
///
/// # Errors
/// When SQLite does not give the file.
pub(super) fn gather_log(connection: &Connection) -> Result<(), Error> {
    let file = file_of(connection, ffi::SQLITE_FCNTL_JOURNAL_POINTER)?;
    #[allow(unsafe_code, reason = "rusqlite has no safe way to a file's methods")]
    // SAFETY: the file is open, and nobody else uses the connection it belongs to. Its methods are a constant of SQLite's.
    // What replaces them lives until `close` takes it down, which SQLite calls once, as the last method of the file.
    unsafe {
        let Some(file) = file.as_mut() else {
            return Err(failure(ffi::SQLITE_ERROR));
        };
        let Some(plain) = file.pMethods.as_ref() else {
            return Err(failure(ffi::SQLITE_ERROR));
        };
        let characteristics = plain.xDeviceCharacteristics.map_or(0, |method| method(file));
        if characteristics & ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE == 0 {
            return Ok(());
        }
        let gathered = Box::new(Gathered {
            methods: ffi::sqlite3_io_methods {
                xClose: Some(close),
                xRead: Some(read),
                xWrite: Some(write),
                xTruncate: Some(truncate),
                xSync: Some(sync),
                xFileSize: Some(size),
                ..*plain
            },
            plain,
            start: 0,
            bytes: Vec::new(),
            lost: None,
            salts: None,
            #[cfg(test)]
            pieces: 0,
            #[cfg(test)]
            failing: None,
        });
        file.pMethods = Box::into_raw(gathered).cast();
    }
    Ok(())
}

/// Lets go what is gathered and was not committed. To be called while no transaction is open.
pub(super) fn let_go(connection: &Connection) {
    with(connection, |gathered| gathered.bytes.clear());
}

/// The salts of the log as it was begun last, if that was seen. To be called after a commit.
pub(super) fn salts(connection: &Connection) -> Option<[u32; 2]> {
    with(connection, |gathered| gathered.salts).flatten()
}

/// Does something with what stands for a connection's log; nothing where nothing is gathered.
fn with<T>(connection: &Connection, work: impl FnOnce(&mut Gathered) -> T) -> Option<T> {
    let file = file_of(connection, ffi::SQLITE_FCNTL_JOURNAL_POINTER).ok()?;
    #[allow(unsafe_code, reason = "rusqlite has no safe way to a file's methods")]
    // SAFETY: the file is open and its connection the caller's. Methods that write by way of `write` are a `Gathered`.
    unsafe {
        let writes = (*file).pMethods.as_ref().and_then(|methods| methods.xWrite);
        writes
            .is_some_and(|writes| std::ptr::fn_addr_eq(writes, write as Write))
            .then(|| work(Gathered::of(file)))
    }
}

/// What `xWrite` is.
type Write = unsafe extern "C" fn(*mut ffi::sqlite3_file, *const c_void, c_int, ffi::sqlite3_int64) -> c_int;

impl Gathered {
    #[allow(unsafe_code, reason = "a method gets nothing but its file")]
    /// SAFETY of callers: `file` is one whose methods were replaced by [`gather_log`], and no other reference to what stands
    /// there is alive. SQLite calls one method of a file at a time.
    unsafe fn of<'f>(file: *mut ffi::sqlite3_file) -> &'f mut Self {
        // SAFETY: the methods are the first field of a `Gathered` that came from a box and is taken down by `close` only.
        unsafe { &mut *(*file).pMethods.cast_mut().cast::<Self>() }
    }

    /// Writes what is gathered. It is gone afterwards, whatever comes of it: SQLite gives up the transaction.
    fn flush(&mut self, file: *mut ffi::sqlite3_file) -> c_int {
        if self.bytes.is_empty() {
            return ffi::SQLITE_OK;
        }
        #[cfg(test)]
        {
            self.pieces += 1;
            if let Some(code) = self.failing {
                self.bytes.clear();
                return code;
            }
        }
        let Some(plain) = self.plain.xWrite else {
            return ffi::SQLITE_IOERR_WRITE;
        };
        // At most BYTES.
        let amount = self.bytes.len() as c_int;
        #[allow(unsafe_code, reason = "a method of SQLite's, called as SQLite does")]
        // SAFETY: SQLite's own method gets its own file and bytes that are there until it returns.
        let code = unsafe { plain(file, self.bytes.as_ptr().cast(), amount, self.start) };
        self.bytes.clear();
        code
    }

    /// The same before something that may be asked for outside of a commit.
    fn flush_for_others(&mut self, file: *mut ffi::sqlite3_file) -> c_int {
        let code = self.flush(file);
        if code != ffi::SQLITE_OK {
            self.lost = Some(code);
        }
        code
    }
}

#[allow(unsafe_code, reason = "called by SQLite with what its own method wants")]
extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    data: *const c_void,
    amount: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite calls this for the file that has these methods, with `amount` bytes at `data`.
    let (gathered, data) = unsafe {
        let length = usize::try_from(amount).unwrap_or(0);
        (
            Gathered::of(file),
            std::slice::from_raw_parts(data.cast::<u8>(), length),
        )
    };
    if offset == 0
        && let Some(header) = data.get(16..24)
    {
        let word =
            |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        gathered.salts = Some([word(0), word(4)]);
    }
    let is_next = offset == gathered.start + gathered.bytes.len() as i64;
    if !is_next || gathered.bytes.len() + data.len() > BYTES {
        let code = gathered.flush(file);
        if code != ffi::SQLITE_OK {
            return code;
        }
    }
    if gathered.bytes.is_empty() {
        gathered.start = offset;
    }
    gathered.bytes.extend_from_slice(data);
    ffi::SQLITE_OK
}

/// Replaces a method by one that writes first what is gathered.
macro_rules! after_flush {
    ($name:ident, $method:ident, $error:ident, ($($argument:ident: $type:ty),*)) => {
        #[allow(unsafe_code, reason = "called by SQLite with what its own method wants")]
        extern "C" fn $name(file: *mut ffi::sqlite3_file, $($argument: $type),*) -> c_int {
            // SAFETY: SQLite calls this for the file that has these methods.
            let gathered = unsafe { Gathered::of(file) };
            let code = gathered.flush_for_others(file);
            match gathered.plain.$method {
                // SAFETY: SQLite's own method gets what it was to get.
                Some(plain) if code == ffi::SQLITE_OK => unsafe { plain(file, $($argument),*) },
                Some(_) => code,
                None => ffi::$error,
            }
        }
    };
}

after_flush!(read, xRead, SQLITE_IOERR_READ, (data: *mut c_void, amount: c_int, offset: ffi::sqlite3_int64));
after_flush!(truncate, xTruncate, SQLITE_IOERR_TRUNCATE, (size: ffi::sqlite3_int64));
after_flush!(size, xFileSize, SQLITE_IOERR_FSTAT, (size: *mut ffi::sqlite3_int64));

#[allow(unsafe_code, reason = "called by SQLite with what its own method wants")]
extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: SQLite calls this for the file that has these methods.
    let gathered = unsafe { Gathered::of(file) };
    let code = match gathered.lost.take() {
        Some(code) => {
            gathered.bytes.clear();
            code
        }
        None => gathered.flush(file),
    };
    match gathered.plain.xSync {
        // SAFETY: SQLite's own method gets what it was to get.
        Some(plain) if code == ffi::SQLITE_OK => unsafe { plain(file, flags) },
        Some(_) => code,
        None => ffi::SQLITE_IOERR_FSYNC,
    }
}

#[allow(unsafe_code, reason = "called by SQLite with what its own method wants")]
extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite calls this for the file that has these methods, and none of them afterwards; so they are taken down
    // here, and SQLite's own stand there again before the last one is called.
    unsafe {
        // What is gathered goes with it. It was not committed, or it would have been synced.
        let gathered = Box::from_raw((*file).pMethods.cast_mut().cast::<Gathered>());
        (*file).pMethods = gathered.plain;
        match gathered.plain.xClose {
            Some(plain) => plain(file),
            None => ffi::SQLITE_IOERR_CLOSE,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails says where")]
    #![allow(unsafe_code, reason = "what is gathered is looked at past SQLite")]

    use std::path::Path;

    use super::*;

    fn open(path: &Path) -> Connection {
        let connection = Connection::open(path).unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
                 CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, b BLOB)",
            )
            .unwrap();
        gather_log(&connection).unwrap();
        connection
    }

    #[allow(clippy::mut_from_ref, reason = "tests use one of them at a time")]
    fn gathered(connection: &Connection) -> &mut Gathered {
        let file = file_of(connection, ffi::SQLITE_FCNTL_JOURNAL_POINTER).unwrap();
        unsafe { Gathered::of(file) }
    }

    fn insert(connection: &Connection, ids: std::ops::Range<i64>, bytes: i64) -> rusqlite::Result<()> {
        connection.execute_batch("BEGIN")?;
        for id in ids {
            connection.execute("INSERT INTO t VALUES (?1, randomblob(?2))", [id, bytes])?;
        }
        connection.execute_batch("COMMIT")
    }

    /// What somebody else finds: how many rows, and whether the file is whole.
    fn found(path: &Path) -> (i64, String) {
        let reader = Connection::open(path).unwrap();
        let rows = reader.query_row("SELECT count(*) FROM t", [], |row| row.get(0));
        let check = reader.query_row("PRAGMA integrity_check", [], |row| row.get(0));
        (rows.unwrap(), check.unwrap())
    }

    #[test]
    fn a_commit_is_one_piece_and_others_see_it_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let writer = open(&path);
        for commit in 0..5 {
            let before = gathered(&writer).pieces;
            insert(&writer, commit * 8..(commit + 1) * 8, 3_000).unwrap();
            assert_eq!(gathered(&writer).pieces - before, 1);
            assert_eq!(found(&path), ((commit + 1) * 8, "ok".into()));
        }
        drop(writer);
        assert_eq!(found(&path), (40, "ok".into()));
    }

    /// More than the page cache holds goes to the log before the commit, is read from there, written over there, and is
    /// given up there.
    #[test]
    fn a_transaction_that_spills_is_as_whole_as_any() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let writer = open(&path);
        writer.pragma_update(None, "cache_size", 20).unwrap();
        for round in 0..6 {
            writer.execute_batch("BEGIN").unwrap();
            for id in 0..300 {
                writer
                    .execute("INSERT OR REPLACE INTO t VALUES (?1, randomblob(5000))", [id])
                    .unwrap();
            }
            let length: i64 = writer
                .query_row("SELECT sum(length(b)) FROM t", [], |row| row.get(0))
                .unwrap();
            assert_eq!(length, 300 * 5_000);
            writer
                .execute("UPDATE t SET b = randomblob(5000) WHERE id % 3 = 0", [])
                .unwrap();
            let gives_up = round % 2 == 1;
            writer
                .execute_batch(if gives_up { "ROLLBACK" } else { "COMMIT" })
                .unwrap();
            assert_eq!(found(&path), (300, "ok".into()));
        }
        assert!(gathered(&writer).pieces > 20, "nothing was spilled");
    }

    /// What is left of a transaction that was given up must not be written over what somebody else has committed since.
    #[test]
    fn what_was_given_up_is_let_go_before_somebody_else_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let writer = open(&path);
        writer.pragma_update(None, "cache_size", 20).unwrap();
        for round in 0..4 {
            writer.execute_batch("BEGIN IMMEDIATE").unwrap();
            for id in 0..100 + round {
                writer
                    .execute("INSERT INTO t VALUES (?1, randomblob(5000))", [1_000 + id])
                    .unwrap();
            }
            writer.execute_batch("ROLLBACK").unwrap();
            let_go(&writer);
            assert!(gathered(&writer).bytes.is_empty());
            let other = Connection::open(&path).unwrap();
            insert(&other, round * 200..(round + 1) * 200, 2_000).unwrap();
            let rows: i64 = writer
                .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
                .unwrap();
            assert_eq!(rows, (round + 1) * 200);
            assert_eq!(found(&path), (rows, "ok".into()));
        }
    }

    #[test]
    fn the_log_can_be_moved_and_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let writer = open(&path);
        for (round, mode) in ["PASSIVE", "RESTART", "TRUNCATE", "PASSIVE"]
            .into_iter()
            .enumerate()
        {
            let from = round as i64 * 50;
            insert(&writer, from..from + 50, 2_000).unwrap();
            let busy: i64 = writer
                .query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get(0))
                .unwrap();
            assert_eq!(busy, 0);
            assert_eq!(found(&path), (from + 50, "ok".into()));
        }
    }

    /// A disk that fails, or is full, when what was gathered is written: the commit says so, and nothing of it is there.
    #[test]
    fn what_cannot_be_written_is_not_committed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let writer = open(&path);
        insert(&writer, 0..10, 3_000).unwrap();
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_IOERR_WRITE] {
            // In one piece, and in many.
            for rows in [10, 1_000] {
                gathered(&writer).failing = Some(code);
                let error = insert(&writer, 10..10 + rows, 3_000).unwrap_err();
                assert_eq!(error.sqlite_error().map(|error| error.extended_code), Some(code));
                gathered(&writer).failing = None;
                if !writer.is_autocommit() {
                    writer.execute_batch("ROLLBACK").unwrap();
                }
                assert_eq!(found(&path), (10, "ok".into()));
            }
        }
        insert(&writer, 10..20, 3_000).unwrap();
        assert_eq!(found(&path), (20, "ok".into()));
    }

    /// Lost while it was asked for something else: the commit that needs it does not go through.
    #[test]
    fn what_a_read_has_lost_is_told_to_the_next_commit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let writer = open(&path);
        insert(&writer, 0..10, 3_000).unwrap();
        let file = file_of(&writer, ffi::SQLITE_FCNTL_JOURNAL_POINTER).unwrap();
        let log = gathered(&writer);
        // Something that no commit has synced, far behind everything.
        assert_eq!(write(file, c"x".as_ptr().cast(), 1, 10_000_000), ffi::SQLITE_OK);
        log.failing = Some(ffi::SQLITE_IOERR_WRITE);
        let mut length = 0;
        assert_eq!(size(file, &raw mut length), ffi::SQLITE_IOERR_WRITE);
        log.failing = None;
        let error = insert(&writer, 10..20, 3_000).unwrap_err();
        assert_eq!(
            error.sqlite_error_code(),
            Some(rusqlite::ErrorCode::SystemIoFailure)
        );
        assert_eq!(found(&path).0, 10);
    }
}
