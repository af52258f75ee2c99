//! The file layer of SQLite: a VFS over the system's own, for the database file and its log. It sums pages up and verifies
//! them, makes a commit one write ([`log`]) and a checkpoint many short ones ([`main`]). All other files are the system's.
//!
//! `ffi` speaks with SQLite and has the only unsafe code; before it stand two traits, [`File`] for what we do with a file, and
//! [`Below`] for what the system does. With [`Layer::Plain`] SQLite is left to itself.

mod damage;
mod ffi;
mod header;
mod log;
mod main;
#[cfg(test)]
mod mock;
pub(super) mod sum;

use std::{
    ffi::c_int,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

pub(crate) use damage::take as take_damage;
pub(super) use ffi::free_bytes;
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, ffi as sqlite};

use self::{header::Seal, log::Gathered};
use crate::Error;

/// Bytes at the end of each page that SQLite leaves to the sum.
pub(super) const RESERVED_BYTES: u8 = 8;

/// The name that the system's VFS goes by. Ours stands over it, so a file has the same locks by either.
const PLAIN_NAME: &std::ffi::CStr = c"unix";

/// What stands between SQLite and the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Ours.
    Sums,
    /// Nothing: SQLite alone.
    Plain,
}

/// Whether the process was told to do without.
static PLAIN: AtomicBool = AtomicBool::new(false);

impl Layer {
    /// What files are opened by that are not told otherwise.
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

    /// Opens a file to write to it, which need not be there. What SQLite alone writes has no sums, so it says in the file that it
    /// was there.
    pub(super) fn open_to_write(self, path: &Path) -> Result<Connection, rusqlite::Error> {
        let connection = self.open(path, OpenFlags::default())?;
        if self == Self::Plain && reserved(&connection)? == RESERVED_BYTES {
            connection.pragma_update(None, "application_id", header::WRITTEN_PLAIN)?;
        }
        Ok(connection)
    }
}

/// A result code of SQLite that is none of success.
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

/// A file as SQLite sees it. It is asked one thing at a time.
pub(super) trait File: Send {
    fn read(&mut self, below: &mut dyn Below, into: &mut [u8], at: i64) -> Outcome;
    fn write(&mut self, below: &mut dyn Below, bytes: &[u8], at: i64) -> Outcome;
    fn truncate(&mut self, below: &mut dyn Below, bytes: i64) -> Outcome;
    fn sync(&mut self, below: &mut dyn Below, flags: c_int) -> Outcome;
    fn bytes(&mut self, below: &mut dyn Below) -> Outcome<i64>;
    fn characteristics(&mut self, below: &mut dyn Below) -> c_int;
    fn answer(&mut self, below: &mut dyn Below, question: &mut Question) -> Outcome;
    /// What the files of one connection share.
    fn shared(&self) -> &Arc<Shared>;
}

/// What the database file and the log of one connection share.
#[derive(Default)]
pub(super) struct Shared {
    seal: header::SealCell,
    /// None while nothing is gathered for the log.
    gathered: Mutex<Option<Gathered>>,
}

impl Shared {
    /// Gathers what is written to the log from now on.
    fn gather(&self) {
        self.gathered.lock().get_or_insert_default();
    }

    /// Drops what is gathered and was not committed. To be called while no transaction is open.
    pub(super) fn drop_gathered(&self) {
        if let Some(gathered) = self.gathered.lock().as_mut() {
            gathered.clear();
        }
    }

    /// The salts of the log as it was begun last, if that was seen. To be called after a commit.
    pub(super) fn salts(&self) -> Option<[u32; 2]> {
        self.gathered.lock().as_ref().and_then(Gathered::salts)
    }
}

/// What we ask a database file of ours, by way of SQLite.
pub(super) enum Question {
    /// What it shares with its log.
    Shared(Option<Arc<Shared>>),
    /// To sync after each so many bytes from now on.
    Pace,
    /// To sync what is left, and whether a sync since the last question failed.
    SyncPaced,
    /// Which of some pages are not what was written.
    Verify(Pages),
}

/// Pages of a database file that are looked at.
#[derive(Default)]
pub(super) struct Pages {
    pub(super) page_bytes: usize,
    /// From 1.
    pub(super) first: u32,
    pub(super) count: u32,
    pub(super) damaged: Vec<u32>,
}

/// What the files of a connection share; none by [`Layer::Plain`].
pub(super) fn shared(connection: &Connection) -> Option<Arc<Shared>> {
    match ask(connection, Question::Shared(None)) {
        Ok(Question::Shared(shared)) => shared,
        _ => None,
    }
}

/// Gathers what a connection writes to its log, until it is closed.
pub(super) fn gather(connection: &Connection) -> Option<Arc<Shared>> {
    let shared = shared(connection)?;
    shared.gather();
    Some(shared)
}

/// Syncs the database of a connection as it is written.
///
/// # Errors
/// Where that is not ours to do.
pub(super) fn pace(connection: &Connection) -> Outcome {
    ask(connection, Question::Pace).map(drop)
}

/// Syncs what is left. SQLite does so only in the pass that moves the log's very end; under constant load that is the
/// writer's, and every commit would wait until all that the other passes have left to the kernel is on the disk.
///
/// # Errors
/// When this or a sync since the last call failed: a file system tells once what it lost.
pub(super) fn sync_paced(connection: &Connection) -> Outcome {
    ask(connection, Question::SyncPaced).map(drop)
}

/// Whether the pages of a connection's database have sums, as far as it was read.
pub(super) fn has_sums(connection: &Connection) -> bool {
    shared(connection).is_some_and(|shared| shared.seal.get() == Seal::Sealed)
}

/// Looks at pages in the file, past SQLite.
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

/// Gives the pages of a new file room for their sums. To be called before anything is written.
pub(super) fn reserve(connection: &Connection) -> Outcome {
    ffi::reserve(connection, c_int::from(RESERVED_BYTES)).map(drop)
}

/// The name of a file that `VACUUM INTO` makes, with sums in its pages or without. They are known from the first page on,
/// which SQLite may write last.
pub(super) fn vacuum_target(path: &Path, layer: Layer) -> String {
    let reserve = match layer {
        Layer::Sums => RESERVED_BYTES,
        Layer::Plain => 0,
    };
    let mut name = String::from("file:");
    for byte in std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()) {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                name.push(char::from(*byte));
            }
            other => name.push_str(&format!("%{other:02x}")),
        }
    }
    format!("{name}?reserve={reserve}")
}
