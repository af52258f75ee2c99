//! Locks that keep a file to one process, by any name of the file.
//!
//! Two locks: a file beside the database, which is locked before anything else is read, and the database file itself,
//! which is the same one by any name: a link, a mount, a folder whose lock file was deleted. Both are flock(2), which does
//! not touch the locks that SQLite keeps with fcntl(2). Those are lost when this process closes any handle on the file, so
//! the handle here lives until the last connection is closed.

use std::{
    collections::BTreeSet,
    fs::{self, File, Metadata, TryLockError},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::Error;

/// How long a process waits for one that is just ending.
const WAIT: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_millis(20);

/// Device and number of files.
type Inode = (u64, u64);

/// The files that this process has: a second handle on one of them must not even be opened.
static OURS: Mutex<BTreeSet<Inode>> = Mutex::new(BTreeSet::new());

/// The lock beside a file, and on the file itself once it exists.
#[derive(Debug)]
pub(crate) struct Lock {
    itself: Option<(File, Inode)>,
    _beside: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some((file, inode)) = self.itself.take() {
            OURS.lock().remove(&inode);
            drop(file);
        }
    }
}

impl Lock {
    /// Acquires the lock beside a file, which need not exist.
    ///
    /// # Errors
    /// [`Error::Open`] when another process has it.
    pub(crate) fn beside(path: &Path) -> Result<Self, Error> {
        let (lock_path, file) = lock_file(path)?;
        wait_for(&file, path, &lock_path)?;
        Ok(Self {
            itself: None,
            _beside: file,
        })
    }

    /// The same on the file itself.
    ///
    /// # Errors
    /// [`Error::Open`] when another process has it, by any name, or when the file has several names.
    pub(crate) fn acquire_itself(&mut self, path: &Path) -> Result<(), Error> {
        let failed = |error: &std::io::Error| Error::Open(format!("{}: {error}", path.display()));
        let found = fs::metadata(path).map_err(|error| failed(&error))?;
        if !found.is_file() {
            return Err(Error::Open(format!("{} is no file", path.display())));
        }
        if found.nlink() > 1 {
            return Err(Error::Open(format!(
                "{} is one of {} names (hard links) of the same file, and its log lies beside one of them only; keep the one \
                 beside which the log is, and remove the others",
                path.display(),
                found.nlink()
            )));
        }
        let inode = (found.dev(), found.ino());
        if !OURS.lock().insert(inode) {
            return Err(in_use(path, Some(std::process::id())));
        }
        let locked = File::options()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|error| failed(&error))
            .and_then(|file| wait_for(&file, path, path).map(|()| file));
        match locked {
            Ok(file) => {
                self.itself = Some((file, inode));
                Ok(())
            }
            Err(error) => {
                OURS.lock().remove(&inode);
                Err(error)
            }
        }
    }

    /// Runs work that replaces the locked file, and locks the new one.
    ///
    /// # Errors
    /// As the work says, or as [`Self::acquire_itself`].
    pub(crate) fn move_to(
        &mut self,
        path: &Path,
        work: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        work()?;
        if let Some((file, inode)) = self.itself.take() {
            OURS.lock().remove(&inode);
            drop(file);
        }
        self.acquire_itself(path)
    }

    /// Both, for reading only; `None` while another process has one of them.
    ///
    /// # Errors
    /// [`Error::Open`] when the file cannot be locked at all.
    pub(crate) fn unless_served(path: &Path) -> Result<Option<Self>, Error> {
        let (lock_path, beside) = lock_file(path)?;
        if !try_lock(&beside, &lock_path)? {
            return Ok(None);
        }
        let mut lock = Self {
            itself: None,
            _beside: beside,
        };
        let found =
            fs::metadata(path).map_err(|error| Error::Open(format!("{}: {error}", path.display())))?;
        let inode = (found.dev(), found.ino());
        if !OURS.lock().insert(inode) {
            return Ok(None);
        }
        let file = File::open(path).map_err(|error| Error::Open(format!("{}: {error}", path.display())));
        match file.and_then(|file| Ok(try_lock(&file, path)?.then_some(file))) {
            Ok(Some(file)) => {
                lock.itself = Some((file, inode));
                Ok(Some(lock))
            }
            other => {
                OURS.lock().remove(&inode);
                other.map(|_| None)
            }
        }
    }
}

/// The path without links: SQLite names the log by it.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf, Error> {
    if !path.is_symlink() {
        return Ok(path.to_owned());
    }
    fs::canonicalize(path)
        .map_err(|error| Error::Open(format!("{} is a link, and its target: {error}", path.display())))
}

fn lock_file(path: &Path) -> Result<(PathBuf, File), Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock_path = PathBuf::from(name);
    let lock = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&lock_path)
        .map_err(|error| {
            Error::Open(format!(
                "{}: {error}; does its folder exist?",
                lock_path.display()
            ))
        })?;
    Ok((lock_path, lock))
}

fn wait_for(file: &File, path: &Path, locked: &Path) -> Result<(), Error> {
    let deadline = Instant::now() + WAIT;
    while !try_lock(file, locked)? {
        if Instant::now() >= deadline {
            return Err(in_use(
                path,
                file.metadata().ok().and_then(|found| holder(&found)),
            ));
        }
        std::thread::sleep(RETRY);
    }
    Ok(())
}

fn try_lock(file: &File, path: &Path) -> Result<bool, Error> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(Error::Open(format!("{}: {error}", path.display()))),
    }
}

fn in_use(path: &Path, holder: Option<u32>) -> Error {
    let holder = holder.map_or(String::new(), |pid| format!(" (pid {pid})"));
    Error::Open(format!(
        "{} is in use by another process{holder}; stop that one first",
        path.display()
    ))
}

/// The process that has a lock, by the kernel's list; `None` when it is not listed, as for a process of another container.
fn holder(file: &Metadata) -> Option<u32> {
    let (major, minor) = (libc::major(file.dev()), libc::minor(file.dev()));
    let place = format!("{major:02x}:{minor:02x}:{}", file.ino());
    holder_in(&fs::read_to_string("/proc/locks").ok()?, &place)
}

fn holder_in(locks: &str, place: &str) -> Option<u32> {
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            // Those that wait have an arrow in the second place.
            [_, "FLOCK", _, _, pid, held, ..] if held == place => pid.parse().ok().filter(|pid| *pid > 0),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::holder_in;

    #[test]
    fn the_holder_is_read_from_what_the_kernel_says() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 08:01:77 0 EOF\n2: FLOCK  ADVISORY  WRITE 12 08:01:77 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 13 08:01:77 0 EOF\n3: FLOCK  ADVISORY  WRITE 0 08:01:78 0 EOF\n";
        assert_eq!(holder_in(locks, "08:01:77"), Some(12));
        assert_eq!(holder_in(locks, "08:01:78"), None);
        assert_eq!(holder_in(locks, "08:01:7"), None);
    }
}
