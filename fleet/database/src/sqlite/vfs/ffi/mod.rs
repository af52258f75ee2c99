//! Calls from SQLite, and to it. A VFS is a table of C functions.
#![allow(
    unsafe_code,
    reason = "SQLite's file layer is a table of C functions, and rusqlite has no safe way to it"
)]

mod system;

use std::{
    ffi::{CStr, c_char, c_int, c_void},
    sync::{
        OnceLock,
        atomic::{AtomicPtr, Ordering},
    },
};

use rusqlite::{Connection, ffi};

use self::system::System;
pub(crate) use self::system::{free_bytes, system_error};
use super::{Below, Code, File, Outcome, Question, RESERVED_BYTES, log::Log, main::Main};

const NAME: &CStr = c"huizhen";
/// A control of ours; SQLite has those up to 100.
const ASK: c_int = 0x0048_5a01;

/// The system's VFS.
static SYSTEM: AtomicPtr<ffi::sqlite3_vfs> = AtomicPtr::new(std::ptr::null_mut());

/// An open file of ours. The system's stands directly behind it in the same memory, which SQLite allocates and frees.
#[repr(C)]
struct Opened {
    base: ffi::sqlite3_file,
    file: Box<dyn File>,
}

/// Registers the VFS, once; returns its name.
pub(super) fn register() -> Outcome<&'static CStr> {
    static REGISTERED: OnceLock<Outcome> = OnceLock::new();
    REGISTERED.get_or_init(register_now).map(|()| NAME)
}

fn register_now() -> Outcome {
    // SAFETY: both are there as long as the process. Ours is a copy but for its name, the size of its files and how it opens
    // them; the system's methods look at nothing else of theirs.
    unsafe {
        let system = ffi::sqlite3_vfs_find(std::ptr::null());
        let Some(found) = system.as_ref() else {
            return Err(Code(ffi::SQLITE_ERROR));
        };
        SYSTEM.store(system, Ordering::Release);
        let ours = ffi::sqlite3_vfs {
            szOsFile: found.szOsFile + size_of::<Opened>() as c_int,
            pNext: std::ptr::null_mut(),
            zName: NAME.as_ptr(),
            xOpen: Some(open),
            ..*found
        };
        outcome(ffi::sqlite3_vfs_register(Box::leak(Box::new(ours)), 0))
    }
}

/// Asks a connection's database file; NOTFOUND when it is not ours.
pub(super) fn ask(connection: &Connection, question: &mut Question) -> Outcome {
    control(connection, ASK, std::ptr::from_mut(question).cast())
}

/// Requests bytes that SQLite leaves alone at the end of each page, if `bytes` is not negative. Returns the number before.
pub(super) fn reserve(connection: &Connection, mut bytes: c_int) -> Outcome<u8> {
    control(
        connection,
        ffi::SQLITE_FCNTL_RESERVE_BYTES,
        (&raw mut bytes).cast(),
    )?;
    u8::try_from(bytes).map_err(|_| Code(ffi::SQLITE_ERROR))
}

fn control(connection: &Connection, what: c_int, argument: *mut c_void) -> Outcome {
    // SAFETY: the connection is open, and the argument is what this control wants: see the callers.
    outcome(unsafe { ffi::sqlite3_file_control(connection.handle(), c"main".as_ptr(), what, argument) })
}

fn outcome(code: c_int) -> Outcome {
    match code {
        ffi::SQLITE_OK => Ok(()),
        code => Err(Code(code)),
    }
}

fn code_of(outcome: Outcome) -> c_int {
    outcome.map_or_else(|Code(code)| code, |()| ffi::SQLITE_OK)
}

/// Opens a file: the system's, and for a database file or its log ours before it.
unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let system = SYSTEM.load(Ordering::Acquire);
    // SAFETY: SQLite calls this with memory for a file of `szOsFile` bytes, which are as many as ours and the system's need,
    // aligned for both.
    unsafe {
        let Some(open_below) = system.as_ref().and_then(|system| system.xOpen) else {
            return ffi::SQLITE_CANTOPEN;
        };
        if name.is_null() || flags & (ffi::SQLITE_OPEN_MAIN_DB | ffi::SQLITE_OPEN_WAL) == 0 {
            return open_below(system, name, file, flags, out_flags);
        }
        (*file).pMethods = std::ptr::null();
        let opened = file.cast::<Opened>();
        let mut below = System(opened.add(1).cast());
        let code = open_below(system, name, below.0, flags, out_flags);
        if code != ffi::SQLITE_OK {
            return code;
        }
        let ours = ours_before(name, flags, &mut below);
        (&raw mut (*opened).file).write(ours);
        (*file).pMethods = &raw const METHODS;
    }
    ffi::SQLITE_OK
}

/// Our half before a file of the system's.
///
/// SAFETY of callers: SQLite opens this file by this name now.
unsafe fn ours_before(name: *const c_char, flags: c_int, below: &mut System) -> Box<dyn File> {
    // SAFETY: the name is SQLite's, so that it ends with a zero, and its parameters and its database can be asked for. A log
    // is opened by the VFS of its database, so that one is ours.
    unsafe {
        let shown = CStr::from_ptr(name).to_string_lossy().into_owned();
        if flags & ffi::SQLITE_OPEN_WAL == 0 {
            let reserve = ffi::sqlite3_uri_int64(name, c"reserve".as_ptr(), -1);
            let is_new = reserve == i64::from(RESERVED_BYTES) && below.bytes() == Ok(0);
            return Box::new(Main::new(shown, is_new));
        }
        let database = ffi::sqlite3_database_file_object(name).cast::<Opened>();
        let shared = (*database).file.shared().clone();
        Box::new(Log::new(shown, shared, below.characteristics()))
    }
}

/// Without mapping into memory (version 3): such reads could not be verified.
static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// Both halves of an open file.
///
/// SAFETY of callers: `file` is one that has [`METHODS`], and no other reference to it is alive. SQLite calls one method of a
/// file at a time.
unsafe fn halves<'f>(file: *mut ffi::sqlite3_file) -> (&'f mut dyn File, System) {
    // SAFETY: `open` has made both, and `close` has not been called yet.
    unsafe {
        let opened = file.cast::<Opened>();
        ((*opened).file.as_mut(), System(opened.add(1).cast()))
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite calls this for a file that has these methods, and none of them afterwards. What is gathered goes with it.
    unsafe {
        let opened = file.cast::<Opened>();
        let below: *mut ffi::sqlite3_file = opened.add(1).cast();
        std::ptr::drop_in_place(&raw mut (*opened).file);
        (*file).pMethods = std::ptr::null();
        match (*below).pMethods.as_ref().and_then(|methods| methods.xClose) {
            Some(close) => close(below),
            None => ffi::SQLITE_IOERR_CLOSE,
        }
    }
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, into: *mut c_void, amount: c_int, at: i64) -> c_int {
    // SAFETY: SQLite calls this for a file that has these methods, with a buffer of `amount` bytes.
    unsafe {
        let (ours, mut below) = halves(file);
        let into = std::slice::from_raw_parts_mut(into.cast(), amount.max(0) as usize);
        code_of(ours.read(&mut below, into, at))
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    data: *const c_void,
    amount: c_int,
    at: i64,
) -> c_int {
    // SAFETY: SQLite calls this for a file that has these methods, with `amount` bytes at `data`.
    unsafe {
        let (ours, mut below) = halves(file);
        let data = std::slice::from_raw_parts(data.cast(), amount.max(0) as usize);
        code_of(ours.write(&mut below, data, at))
    }
}

/// Methods that get numbers alone.
macro_rules! ours {
    ($($name:ident, ($argument:ident: $type:ty);)*) => { $(
        unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file, $argument: $type) -> c_int {
            // SAFETY: SQLite calls this for a file that has these methods.
            let (ours, mut below) = unsafe { halves(file) };
            code_of(ours.$name(&mut below, $argument))
        }
    )* };
}

ours! { truncate, (bytes: i64); sync, (flags: c_int); }

unsafe extern "C" fn size(file: *mut ffi::sqlite3_file, bytes: *mut i64) -> c_int {
    // SAFETY: as above, with a place for the size.
    unsafe {
        let (ours, mut below) = halves(file);
        code_of(ours.bytes(&mut below).map(|found| *bytes = found))
    }
}

unsafe extern "C" fn characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: as above.
    let (ours, mut below) = unsafe { halves(file) };
    ours.characteristics(&mut below)
}

unsafe extern "C" fn file_control(file: *mut ffi::sqlite3_file, what: c_int, argument: *mut c_void) -> c_int {
    // SAFETY: as above; the argument of [`ASK`] is a question, see [`ask`].
    unsafe {
        let (ours, mut below) = halves(file);
        if what == ASK {
            return code_of(ours.answer(&mut below, &mut *argument.cast::<Question>()));
        }
        match below.methods().xFileControl {
            Some(control) => control(below.0, what, argument),
            None => ffi::SQLITE_NOTFOUND,
        }
    }
}

/// Methods that are the system's alone.
macro_rules! passed_on {
    ($($name:ident, $method:ident, ($($argument:ident: $type:ty),*);)*) => { $(
        unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file, $($argument: $type),*) -> c_int {
            // SAFETY: SQLite calls this for a file that has these methods, with what the system's own method wants.
            unsafe {
                let (_, below) = halves(file);
                match below.methods().$method {
                    Some(method) => method(below.0, $($argument),*),
                    None => ffi::SQLITE_IOERR,
                }
            }
        }
    )* };
}

passed_on! {
    lock, xLock, (level: c_int);
    unlock, xUnlock, (level: c_int);
    check_reserved_lock, xCheckReservedLock, (result: *mut c_int);
    sector_size, xSectorSize, ();
    shm_map, xShmMap, (region: c_int, bytes: c_int, extend: c_int, result: *mut *mut c_void);
    shm_lock, xShmLock, (offset: c_int, count: c_int, flags: c_int);
    shm_unmap, xShmUnmap, (delete: c_int);
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    // SAFETY: as above.
    let (_, below) = unsafe { halves(file) };
    if let Some(barrier) = below.methods().xShmBarrier {
        // SAFETY: the system's own method gets its own file.
        unsafe { barrier(below.0) }
    }
}
