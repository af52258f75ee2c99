//! The open-file limit, which bounds the number of connections.

use std::io;

/// Descriptors that a program needs beside its connections: the database, its log and readers, listeners, the epoll
/// instance, standard streams, and the REST connections of a machine that runs everything in one process.
pub const RESERVE: u64 = 1024;

/// The open-file limit of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The limit in force.
    pub soft: u64,
    /// The bound of [`Self::soft`].
    pub hard: u64,
}

impl Limit {
    /// The number of connections that fit beside [`RESERVE`].
    pub fn connections(self) -> u64 {
        self.soft.saturating_sub(RESERVE)
    }
}

/// The present limit.
///
/// # Errors
/// Those of getrlimit(2).
pub fn limit() -> io::Result<Limit> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel writes one rlimit into the one that lives here.
    #[allow(unsafe_code, reason = "libc has no safe getrlimit")]
    let status = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Limit {
        soft: limit.rlim_cur,
        hard: limit.rlim_max,
    })
}

/// Raises the soft limit to the hard one. Its low default protects programs that use select(2); ours use none.
///
/// # Errors
/// Those of setrlimit(2); the old limit stays in force.
pub fn raise() -> io::Result<Limit> {
    let Limit { hard, .. } = limit()?;
    let wanted = libc::rlimit {
        rlim_cur: hard,
        rlim_max: hard,
    };
    // SAFETY: the kernel only reads the rlimit that lives here.
    #[allow(unsafe_code, reason = "libc has no safe setrlimit")]
    let status = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const wanted) };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    limit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let raised = raise().unwrap();
        assert_eq!(raised.soft, raised.hard);
        assert_eq!(limit().unwrap(), raised);
    }

    #[test]
    fn a_reserve_is_kept_back() {
        let limit = |soft| Limit { soft, hard: soft };
        assert_eq!(limit(21_024).connections(), 20_000);
        assert_eq!(limit(256).connections(), 0);
    }
}
