//! The system's VFS files, and the room on its disks.

use std::{
    ffi::{CString, c_int},
    io,
    os::unix::ffi::OsStrExt,
    path::Path,
};

use rusqlite::{Connection, ffi};

use super::outcome;
use crate::sqlite::vfs::{Below, Code, Outcome};

/// Bytes that a user other than root may still write to the file system of a folder; `None` when it is unknown.
pub(crate) fn free_bytes(folder: &Path) -> Option<u64> {
    let name = CString::new(OsStrExt::as_bytes(folder.as_os_str())).ok()?;
    // SAFETY: the name ends with a zero, and the answer is written to a place of its type, for which zeros are a value.
    unsafe {
        let mut found: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(name.as_ptr(), &raw mut found) == 0)
            .then(|| found.f_bavail.saturating_mul(found.f_frsize))
    }
}

/// The system's last error on this connection.
pub(crate) fn system_error(connection: &Connection) -> io::Error {
    // SAFETY: the handle is that of an open connection, which this thread alone uses.
    io::Error::from_raw_os_error(unsafe { ffi::sqlite3_system_errno(connection.handle()) })
}

/// A file of the system's VFS. Made for a file that it has opened, and gone before that is closed.
pub(super) struct System(pub(super) *mut ffi::sqlite3_file);

impl System {
    pub(super) fn methods(&self) -> &ffi::sqlite3_io_methods {
        // SAFETY: the file is open, so its methods are there.
        unsafe { &*(*self.0).pMethods }
    }
}

/// Calls a method of the system's.
macro_rules! call {
    ($file:expr, $method:ident, $($argument:expr),*) => {
        match $file.methods().$method {
            // SAFETY: the system's own method gets its own file, and what it wants.
            Some(method) => outcome(unsafe { method($file.0, $($argument),*) }),
            None => Err(Code(ffi::SQLITE_IOERR)),
        }
    };
}

impl Below for System {
    fn read(&mut self, into: &mut [u8], at: i64) -> Outcome {
        #[cfg(test)]
        crate::sqlite::vfs::faults::mock::count(|counts| &mut counts.reads)?;
        call!(self, xRead, into.as_mut_ptr().cast(), amount(into.len())?, at)
    }

    fn write(&mut self, bytes: &[u8], at: i64) -> Outcome {
        #[cfg(test)]
        crate::sqlite::vfs::faults::mock::count(|counts| &mut counts.writes)?;
        call!(self, xWrite, bytes.as_ptr().cast(), amount(bytes.len())?, at)
    }

    fn truncate(&mut self, bytes: i64) -> Outcome {
        call!(self, xTruncate, bytes)
    }

    fn sync(&mut self, flags: c_int) -> Outcome {
        #[cfg(test)]
        crate::sqlite::vfs::faults::mock::count(|counts| &mut counts.syncs)?;
        call!(self, xSync, flags)
    }

    fn bytes(&mut self) -> Outcome<i64> {
        let mut bytes = 0;
        call!(self, xFileSize, &raw mut bytes).map(|()| bytes)
    }

    fn characteristics(&mut self) -> c_int {
        // SAFETY: the system's own method gets its own file.
        self.methods()
            .xDeviceCharacteristics
            .map_or(0, |method| unsafe { method(self.0) })
    }
}

fn amount(bytes: usize) -> Outcome<c_int> {
    c_int::try_from(bytes).map_err(|_| Code(ffi::SQLITE_TOOBIG))
}
