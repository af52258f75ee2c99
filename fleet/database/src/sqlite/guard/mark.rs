//! How far the log was synced, in a small file beside it. A log that was cut off between two commits, or that is gone, looks
//! like one that was never longer.
//!
//! The file is written after each commit and never synced, so it costs a write to the page cache. It is a lower bound: its
//! frames were synced before it was written, whichever of its versions a power cut leaves.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use telemetry::events::database::Event;

use super::log::Log;
use crate::{Part, checksum};

const NAME: &[u8; 16] = b"huizhen mark v1\n";
const BYTES: usize = 40;

/// A place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) salts: [u32; 2],
    pub(crate) frames: u32,
}

impl Mark {
    /// `None` when it is missing or cannot be read.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let bytes = fs::read(path).ok()?;
        let bytes: &[u8; BYTES] = bytes.as_slice().try_into().ok()?;
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let mark = Self {
            salts: [word(16), word(20)],
            frames: word(24),
        };
        (mark.encode() == *bytes).then_some(mark)
    }

    fn encode(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..16].copy_from_slice(NAME);
        bytes[16..20].copy_from_slice(&self.salts[0].to_le_bytes());
        bytes[20..24].copy_from_slice(&self.salts[1].to_le_bytes());
        bytes[24..28].copy_from_slice(&self.frames.to_le_bytes());
        let sum = checksum([Part::Bytes(&bytes[..32])]);
        bytes[32..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// The damage of a log beside this mark.
    pub(super) fn complaint(self, log: Log) -> Option<String> {
        let frames = self.frames;
        match log {
            Log::Empty => Some(format!(
                "it is gone or empty, and {frames} frames of it were synced"
            )),
            Log::Whole { salts, committed } if salts == self.salts => (committed < u64::from(frames))
                .then(|| format!("it ends after frame {committed}, and {frames} frames of it were synced")),
            // The log was restarted since, after all of it had been moved into the database and synced there.
            Log::Whole { salts, .. } if (1..1 << 31).contains(&salts[0].wrapping_sub(self.salts[0])) => None,
            Log::Whole { .. } => Some("it is another one than was written last".to_owned()),
            // The log itself shows its damage.
            Log::BadHeader | Log::BadFrame { .. } => None,
        }
    }
}

/// The file.
pub(crate) struct MarkFile {
    path: PathBuf,
    file: Option<File>,
    written: Option<Mark>,
    failed: bool,
}

impl MarkFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            written: None,
            failed: false,
        }
    }

    /// Records that the log was synced up to here.
    pub(crate) fn set(&mut self, mark: Mark) {
        if self.written == Some(mark) || self.failed {
            return;
        }
        match self.write(mark) {
            Ok(()) => self.written = Some(mark),
            Err(error) => {
                // An earlier mark holds as well: it is a lower bound.
                self.failed = true;
                let (error, file) = (&error, &*self.path);
                Event::MarkUnwritten { error, file }.emit();
            }
        }
    }

    fn write(&mut self, mark: Mark) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            empty => empty.insert(
                File::options()
                    .create(true)
                    .write(true)
                    .truncate(false)
                    .mode(0o600)
                    .open(&self.path)?,
            ),
        };
        file.write_all_at(&mark.encode(), 0)
    }
}

/// Removes a mark durably, before the log may be moved and ended.
pub(super) fn clear(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails says where")]

    use super::*;

    const MARK: Mark = Mark {
        salts: [7, 9],
        frames: 12,
    };

    #[test]
    fn a_mark_comes_back_and_a_spoilt_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db-mark");
        assert_eq!(Mark::read(&path), None);
        let mut file = MarkFile::new(path.clone());
        file.set(Mark { frames: 3, ..MARK });
        file.set(MARK);
        assert_eq!(Mark::read(&path), Some(MARK));
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut spoilt = whole.clone();
            spoilt[at] ^= 4;
            fs::write(&path, spoilt).unwrap();
            assert_eq!(Mark::read(&path), None, "{at}");
        }
        clear(&path).unwrap();
        clear(&path).unwrap();
        assert_eq!(Mark::read(&path), None);
    }

    #[test]
    fn a_log_may_be_longer_or_begun_anew_and_nothing_else() {
        let whole = |salts, committed| Log::Whole { salts, committed };
        for good in [
            whole([7, 9], 12),
            whole([7, 9], 40),
            whole([8, 1], 0),
            whole([9, 5], 3),
        ] {
            assert_eq!(MARK.complaint(good), None, "{good:?}");
        }
        for bad in [
            Log::Empty,
            whole([7, 9], 11),
            whole([7, 9], 0),
            whole([7, 8], 50),
            whole([6, 9], 50),
        ] {
            assert!(MARK.complaint(bad).is_some(), "{bad:?}");
        }
        // The salts wrap around.
        let last = Mark {
            salts: [u32::MAX, 9],
            ..MARK
        };
        assert_eq!(last.complaint(whole([0, 3], 1)), None);
    }
}
