//! Free space on the file system of a folder.

use std::{ffi::CString, io, mem::MaybeUninit, os::unix::ffi::OsStrExt, path::Path};

/// The free space for this user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeSpace {
    /// Bytes.
    pub bytes: u64,
    /// Files that can still be created; `None` where the file system has no such limit.
    pub files: Option<u64>,
}

/// The free space under a folder.
///
/// # Errors
/// Those of statvfs(3).
pub fn of(folder: &Path) -> io::Result<FreeSpace> {
    let path = CString::new(folder.as_os_str().as_bytes())?;
    let mut found = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path ends with NUL, and the kernel writes one statvfs into the one that lives here.
    #[allow(unsafe_code, reason = "libc has no safe statvfs")]
    let found = unsafe {
        if libc::statvfs(path.as_ptr(), found.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        found.assume_init()
    };
    Ok(FreeSpace {
        bytes: found.f_bavail.saturating_mul(found.f_frsize),
        files: (found.f_files > 0).then_some(found.f_favail),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_free_space_and_a_missing_one_has_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(of(folder.path()).unwrap().bytes > 0);
        assert!(of(&folder.path().join("missing")).is_err());
    }
}
