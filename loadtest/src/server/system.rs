//! The two system calls that the standard library does not offer.
#![allow(
    unsafe_code,
    reason = "getrlimit and setrlimit have no safe form in the standard library"
)]

use std::io;

use anyhow::{Context, Result};

/// Raises the soft limit of open files to the hard one: a connection is a file.
///
/// # Errors
/// When the system refuses.
pub fn raise_open_files() -> Result<()> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a live, writable rlimit of this frame.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error()).context("cannot read the limit of open files");
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the pointer is to a live rlimit of this frame.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error()).context("cannot raise the limit of open files");
    }
    Ok(())
}

/// How many files this process may have open.
pub fn open_files() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a live, writable rlimit of this frame.
    let read = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    if read == 0 { limit.rlim_cur } else { 0 }
}
