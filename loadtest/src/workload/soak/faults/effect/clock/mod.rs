//! Faults of one process alone: its wall clock, its disk. A small library that is loaded before libc reads them from a
//! file that this program writes.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::time::sleep;

/// The source of the library, compiled by this machine's C compiler when a soak begins.
const SOURCE: &str = include_str!("clock.c");
/// Where its fields lie in the file, bytes.
const CLOCK_MS: u64 = 0;
const SYNC_MS: u64 = 8;
const WRITE_ERRNO: u64 = 16;
const SYNC_ERRNO: u64 = 24;
const READ_ERRNO: u64 = 32;
const WRITE_SHORT: u64 = 40;
const WRITE_MS: u64 = 48;
/// How far a clock jumps to and fro.
const JITTER_MS: i64 = 30_000;
/// How often it does.
const JITTER: Duration = Duration::from_millis(100);
/// How long each sync to a slow disk takes.
const SLOW_SYNC: Duration = Duration::from_millis(250);
/// How long each write to a slow disk takes.
const SLOW_WRITE: Duration = Duration::from_millis(3);

/// One way in which a disk is spoiled.
#[derive(Clone, Copy, Debug)]
pub(in crate::workload::soak::faults) enum Disk {
    SlowSyncs,
    SlowWrites,
    Full,
    FailingSyncs,
    FailingWrites,
    FailingReads,
    ShortWrites,
}

/// The clocks and disks of all servers of a run.
#[derive(Clone, Debug)]
pub(crate) struct Clocks {
    folder: Arc<TempDir>,
}

impl Clocks {
    /// Makes the library.
    ///
    /// # Errors
    /// When the C compiler is missing or fails.
    pub(crate) fn make() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("loadtest-clock-").tempdir()?;
        std::fs::write(folder.path().join("clock.c"), SOURCE)?;
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-o", "clock.so", "clock.c", "-ldl"])
            .current_dir(folder.path())
            .output()
            .context("cc cannot be run: clocks are shifted by a library that is compiled at the run (on Debian: gcc)")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "cc does not take clock.c: {said}");
        Ok(Self {
            folder: Arc::new(folder),
        })
    }

    /// Variables of each server's environment; `{name}` stands for its name.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let at = |file: &str| self.folder.path().join(file).display().to_string();
        vec![
            ("LD_PRELOAD".to_owned(), at("clock.so")),
            ("LOADTEST_CLOCK_FILE".to_owned(), at("{name}.clock")),
        ]
    }

    /// Sets how far the wall clock of a server is ahead, ms.
    pub(crate) fn shift(&self, name: &str, ms: i64) -> Result<()> {
        self.set(name, CLOCK_MS, ms)
    }

    /// Lets the wall clock of a server jump to and fro for this long, then puts it right.
    pub(in crate::workload::soak::faults) async fn jitter(&self, name: &str, length: Duration) -> Result<()> {
        let begun = Instant::now();
        for turn in (0..).take_while(|_| begun.elapsed() < length) {
            self.shift(name, if turn % 2 == 0 { JITTER_MS } else { -JITTER_MS })?;
            sleep(JITTER).await;
        }
        self.shift(name, 0)
    }

    /// Spoils the disk of a server, or mends it.
    pub(in crate::workload::soak::faults) fn disk(&self, name: &str, how: Disk, is_on: bool) -> Result<()> {
        let (place, value) = match how {
            Disk::SlowSyncs => (SYNC_MS, SLOW_SYNC.as_millis() as i64),
            Disk::SlowWrites => (WRITE_MS, SLOW_WRITE.as_millis() as i64),
            Disk::Full => (WRITE_ERRNO, libc::ENOSPC.into()),
            Disk::FailingSyncs => (SYNC_ERRNO, libc::EIO.into()),
            Disk::FailingWrites => (WRITE_ERRNO, libc::EIO.into()),
            Disk::FailingReads => (READ_ERRNO, libc::EIO.into()),
            Disk::ShortWrites => (WRITE_SHORT, 1),
        };
        self.set(name, place, if is_on { value } else { 0 })
    }

    fn set(&self, name: &str, place: u64, value: i64) -> Result<()> {
        let file = self.file(name).context("the file of a clock cannot be opened")?;
        Ok(file.write_all_at(&value.to_ne_bytes(), place)?)
    }

    fn file(&self, name: &str) -> std::io::Result<File> {
        let path: PathBuf = self.folder.path().join(format!("{name}.clock"));
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_the_clock_that_is_set_for_it() {
        let clocks = Clocks::make().unwrap();
        let year = |name: &str| {
            let mut date = Command::new("date");
            for (key, value) in clocks.environment() {
                date.env(key, value.replace("{name}", name));
            }
            String::from_utf8(date.args(["-u", "+%Y"]).output().unwrap().stdout).unwrap()
        };
        let before = year("a");
        clocks.shift("a", 400 * 24 * 3_600_000).unwrap();
        assert!(year("a") > before);
        assert_eq!(year("b"), before);
        clocks.shift("a", 0).unwrap();
        assert_eq!(year("a"), before);
    }
}
