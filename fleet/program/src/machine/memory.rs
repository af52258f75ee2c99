//! How the kernel backs the memory of this process.

use std::io;

/// Disables huge pages. A million connections are a million small allocations of independent lifetimes: with huge pages,
/// one of them keeps 2 MiB resident, and an idle connection costs half as much again. A child process inherits this.
///
/// # Errors
/// Those of prctl(2); the page size stays as it was.
pub fn use_small_pages() -> io::Result<()> {
    let (on, unused): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: this option has numbers as arguments only, and writes to no memory of ours.
    #[allow(unsafe_code, reason = "libc has no safe prctl")]
    let status = unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, on, unused, unused, unused) };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_become_small() {
        use_small_pages().unwrap();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        // Kernels before 5.0 do not report it.
        if let Some(line) = status.lines().find(|line| line.starts_with("THP_enabled:")) {
            assert_eq!(line.split_whitespace().last(), Some("0"), "{line}");
        }
    }
}
