//! The file layer of SQLite: a VFS over the system's own, for the database file and its log. It sums pages up and verifies
//! them, makes a commit one write ([`log`]) and a checkpoint many short ones ([`main`]). All other files are the system's.
//!
//! `ffi` calls SQLite and has the only unsafe code of the layer; before it stand two traits, [`File`] for our operations on a
//! file, and [`Below`] for the system's. With [`Layer::Plain`] SQLite uses the system's VFS alone.

mod damage;
mod faults;
mod ffi;
mod header;
mod log;
mod main;
pub(super) mod sum;

use std::{
    ffi::c_int,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, ffi as sqlite};

pub use self::faults::{Faults, Hang, Operation};
pub(super) use self::{
    damage::take as take_damage,
    ffi::{free_bytes, system_error},
};
use self::{header::Seal, log::Gathered};
use crate::Error;

/// Bytes at the end of each page that SQLite leaves to the sum.
pub(super) const RESERVED_BYTES: u8 = 8;

/// The name of the system's VFS. Ours stands over it, so a file has the same locks by either.
const PLAIN_NAME: &std::ffi::CStr = c"unix";

/// The layer between SQLite and the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Ours.
    Sums,
    /// None: SQLite alone.
    Plain,
}

/// Whether the process runs without our layer.
static PLAIN: AtomicBool = AtomicBool::new(false);

impl Layer {
    /// The layer of files that are opened without naming one.
    pub fn current() -> Self {
        match PLAIN.load(Ordering::Relaxed) {
            true => Self::Plain,
            false => Self::Sums,
        }
    }

    /// Makes this the layer of every file that is opened from now on.
    pub fn set_current(self) {
        PLAIN.store(self == Self::Plain, Ordering::Relaxed);
    }

    /// Opens a file.
    pub(super) fn open(self, path: &Path, flags: OpenFlags) -> Result<Connection, rusqlite::Error> {
        match self {
            Self::Sums => Connection::open_with_flags_and_vfs(path, flags, ffi::register()?),
            Self::Plain => Connection::open_with_flags_and_vfs(path, flags, PLAIN_NAME),
        }
    }

    /// Opens a file to write to it, which need not exist. Pages that SQLite alone writes have no sums, so the file is marked as
    /// written by it.
    pub(super) fn open_to_write(self, path: &Path) -> Result<Connection, rusqlite::Error> {
        let connection = self.open(path, OpenFlags::default())?;
        if self == Self::Plain && reserved(&connection)? == RESERVED_BYTES {
            connection.pragma_update(None, "application_id", header::WRITTEN_PLAIN)?;
        }
        Ok(connection)
    }
}

/// A result code of SQLite other than success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code(pub(super) c_int);

pub(super) type Outcome<T = ()> = Result<T, Code>;

impl From<Code> for rusqlite::Error {
    fn from(code: Code) -> Self {
        Self::SqliteFailure(sqlite::Error::new(code.0), None)
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        rusqlite::Error::from(code).into()
    }
}

/// A file of the system's.
pub(super) trait Below {
    /// Fills a buffer; with zeros, and [`sqlite::SQLITE_IOERR_SHORT_READ`], from the file's end on.
    fn read(&mut self, into: &mut [u8], at: i64) -> Outcome;
    fn write(&mut self, bytes: &[u8], at: i64) -> Outcome;
    fn truncate(&mut self, bytes: i64) -> Outcome;
    fn sync(&mut self, flags: c_int) -> Outcome;
    fn bytes(&mut self) -> Outcome<i64>;
    fn characteristics(&mut self) -> c_int;
}

/// A file as SQLite sees it. It gets one call at a time.
pub(super) trait File: Send {
    fn read(&mut self, below: &mut dyn Below, into: &mut [u8], at: i64) -> Outcome;
    fn write(&mut self, below: &mut dyn Below, bytes: &[u8], at: i64) -> Outcome;
    fn truncate(&mut self, below: &mut dyn Below, bytes: i64) -> Outcome;
    fn sync(&mut self, below: &mut dyn Below, flags: c_int) -> Outcome;
    fn bytes(&mut self, below: &mut dyn Below) -> Outcome<i64>;
    fn characteristics(&mut self, below: &mut dyn Below) -> c_int;
    fn answer(&mut self, below: &mut dyn Below, question: &mut Question) -> Outcome;
    /// The state that the files of one connection share.
    fn shared(&self) -> &Arc<Shared>;
}

/// The state that the database file and the log of one connection share.
#[derive(Default)]
pub(super) struct Shared {
    seal: header::SealCell,
    /// `None` while writes to the log are not coalesced.
    gathered: Mutex<Option<Gathered>>,
    /// The disk, where a test controls it.
    disk: Option<Arc<faults::Disk>>,
}

impl Shared {
    /// For the files of this name.
    fn new(name: &str) -> Self {
        Self {
            disk: faults::disk_of(name),
            ..Self::default()
        }
    }

    /// Waits while a test lets this operation hang.
    fn pass(&self, operation: Operation) {
        if let Some(disk) = &self.disk {
            disk.pass(operation);
        }
    }

    /// Gathers writes to the log from now on.
    fn gather(&self) {
        self.gathered.lock().get_or_insert_default();
    }

    /// Drops gathered bytes that were not committed. To be called while no transaction is open.
    pub(super) fn drop_gathered(&self) {
        if let Some(gathered) = self.gathered.lock().as_mut() {
            gathered.clear();
        }
    }

    /// The salts since the log's last restart, if they were seen. To be called after a commit.
    pub(super) fn salts(&self) -> Option<[u32; 2]> {
        self.gathered.lock().as_ref().and_then(Gathered::salts)
    }
}

/// A question to a database file of ours, by way of SQLite.
pub(super) enum Question {
    /// For the state that it shares with its log.
    Shared(Option<Arc<Shared>>),
    /// To sync at a steady pace from now on.
    Pace,
    /// To sync the rest, and whether a sync since the last question failed.
    SyncPaced,
    /// Which of some pages differ from what was written.
    Verify(Pages),
}

/// Pages of a database file to verify.
#[derive(Default)]
pub(super) struct Pages {
    pub(super) page_bytes: usize,
    /// From 1.
    pub(super) first: u32,
    pub(super) count: u32,
    pub(super) damaged: Vec<u32>,
}

/// The state that the files of a connection share; `None` with [`Layer::Plain`].
pub(super) fn shared(connection: &Connection) -> Option<Arc<Shared>> {
    match ask(connection, Question::Shared(None)) {
        Ok(Question::Shared(shared)) => shared,
        _ => None,
    }
}

/// Gathers a connection's writes to its log, until it is closed.
pub(super) fn gather(connection: &Connection) -> Option<Arc<Shared>> {
    let shared = shared(connection)?;
    shared.gather();
    Some(shared)
}

/// Syncs the database of a connection as it is written.
///
/// # Errors
/// Where the layer is not ours.
pub(super) fn pace(connection: &Connection) -> Outcome {
    ask(connection, Question::Pace).map(drop)
}

/// Syncs the rest. SQLite does so only in the pass that moves the log's very end; under constant load that is the
/// writer's, and every commit would wait until the kernel has written all pages of the other passes to the disk.
///
/// # Errors
/// When this or a sync since the last call failed: a file system reports a lost write once.
pub(super) fn sync_paced(connection: &Connection) -> Outcome {
    ask(connection, Question::SyncPaced).map(drop)
}

/// Whether the pages of a connection's database have sums, as far as it was read.
pub(super) fn has_sums(connection: &Connection) -> bool {
    shared(connection).is_some_and(|shared| shared.seal.get() == Seal::Sealed)
}

/// Verifies pages in the file, past SQLite.
pub(super) fn verify(connection: &Connection, pages: Pages) -> Outcome<Vec<u32>> {
    match ask(connection, Question::Verify(pages))? {
        Question::Verify(pages) => Ok(pages.damaged),
        _ => Err(Code(sqlite::SQLITE_INTERNAL)),
    }
}

fn ask(connection: &Connection, mut question: Question) -> Outcome<Question> {
    ffi::ask(connection, &mut question).map(|()| question)
}

/// Bytes at the end of each page that SQLite leaves alone.
pub(super) fn reserved(connection: &Connection) -> Outcome<u8> {
    ffi::reserve(connection, -1)
}

/// Reserves bytes for sums in the pages of a new file. Comes before the first write.
pub(super) fn reserve(connection: &Connection) -> Outcome {
    ffi::reserve(connection, c_int::from(RESERVED_BYTES)).map(drop)
}

/// The name of a file that `VACUUM INTO` makes, with sums in its pages or without. It says so from the first page on,
/// which SQLite may write last.
pub(super) fn vacuum_target(path: &Path, layer: Layer) -> String {
    let reserve = match layer {
        Layer::Sums => RESERVED_BYTES,
        Layer::Plain => 0,
    };
    format!("{}?reserve={reserve}", uri(path))
}

/// A path as SQLite takes it with parameters behind it.
pub(super) fn uri(path: &Path) -> String {
    let mut name = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(byte) {
            name.push(char::from(*byte));
        } else {
            name.push_str(&format!("%{byte:02x}"));
        }
    }
    name
}
