//! The kinds of errors: who can end one. A log line, a metric or a retry decides by the kind, and not by the text.

use std::{fmt, io};

/// The kind of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The caller's mistake: other input or other settings end it.
    Caller,
    /// The peer has gone; no one needs to act.
    Peer,
    /// A limit is reached: of the settings, the process or the machine.
    Limit,
    /// A dependency is away, and may come back.
    Dependency,
    /// A bug of ours.
    Bug,
}

impl Kind {
    /// As in logs and labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Peer => "peer",
            Self::Limit => "limit",
            Self::Dependency => "dependency",
            Self::Bug => "bug",
        }
    }

    /// The kind of an error of a socket or a file.
    #[must_use]
    pub fn of_io(error: &io::Error) -> Self {
        /// EMFILE, ENFILE and ENOBUFS of Linux, which std gives no kind.
        const EXHAUSTED: [i32; 3] = [24, 23, 105];
        match error.kind() {
            io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::NotConnected => Self::Peer,
            io::ErrorKind::OutOfMemory | io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Limit
            }
            io::ErrorKind::ConnectionRefused | io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable => {
                Self::Dependency
            }
            io::ErrorKind::NotFound
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::AddrInUse
            | io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::ReadOnlyFilesystem => Self::Caller,
            _ if error.raw_os_error().is_some_and(|code| EXHAUSTED.contains(&code)) => Self::Limit,
            _ => Self::Bug,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_system_have_their_kind() {
        for (code, kind) in [
            (24, Kind::Limit),
            (23, Kind::Limit),
            (105, Kind::Limit),
            (12, Kind::Limit),
            (28, Kind::Limit),
            (104, Kind::Peer),
            (32, Kind::Peer),
            (111, Kind::Dependency),
            (13, Kind::Caller),
            (98, Kind::Caller),
            (22, Kind::Bug),
        ] {
            assert_eq!(Kind::of_io(&io::Error::from_raw_os_error(code)), kind, "{code}");
        }
    }
}
