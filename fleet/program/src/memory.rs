//! How the kernel gives memory to this process.

use std::io;

/// Asks for small pages only. A million connections are a million small pieces of memory that come and go at their own
/// times; with huge pages of 2 MiB, each that holds one of them stays resident whole, and an idle connection costs
/// half as much again. A child process inherits this.
///
/// # Errors
/// As the kernel says; then pages are as large as before.
pub fn use_small_pages() -> io::Result<()> {
    let (on, unused): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: this option takes numbers only, and touches no memory of ours.
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
        // Kernels before 5.0 do not tell.
        if let Some(line) = status.lines().find(|line| line.starts_with("THP_enabled:")) {
            assert_eq!(line.split_whitespace().last(), Some("0"), "{line}");
        }
    }
}
