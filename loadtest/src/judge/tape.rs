//! Where notes go while a run goes on: into files, in parts, so that neither the run nor the judgement holds all of
//! them.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::note::Note;

/// Into how many parts the notes are divided: one is judged at a time.
pub const PARTS: usize = 32;
/// Bytes of each part that are buffered before a write.
const BUFFER_BYTES: usize = 64 * 1024;
/// How much of a part is read at once.
const READ_BYTES: usize = 256 * 1024;

/// The notes of a run.
#[derive(Debug)]
pub struct Tape {
    parts: Vec<Mutex<Part>>,
    has_ended: AtomicBool,
    folder: TempDir,
}

#[derive(Debug)]
struct Part {
    file: File,
    waiting: Vec<u8>,
    /// An error of the disk; returned when the tape is read.
    error: Option<std::io::Error>,
}

impl Tape {
    /// Makes an empty one in a folder of its own, which goes with it.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("loadtest-tape-").tempdir()?;
        let parts = (0..PARTS)
            .map(|part| {
                let file = File::create(folder.path().join(part.to_string()))?;
                Ok(Mutex::new(Part {
                    file,
                    waiting: Vec::with_capacity(BUFFER_BYTES),
                    error: None,
                }))
            })
            .collect::<std::io::Result<_>>()?;
        Ok(Self {
            parts,
            has_ended: AtomicBool::new(false),
            folder,
        })
    }

    /// Appends notes of devices of one conversation, whose number is `conversation`.
    pub fn note(&self, conversation: usize, notes: &[Note]) {
        if self.has_ended.load(Ordering::Relaxed) {
            return;
        }
        let mut part = self.parts[conversation % PARTS]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for note in notes {
            note.write(&mut part.waiting);
        }
        if part.waiting.len() >= BUFFER_BYTES - 1024 {
            part.flush();
        }
    }

    /// Nothing that comes from now on is noted: devices that are closed at the end are not lost connections.
    pub fn end(&self) {
        self.has_ended.store(true, Ordering::Relaxed);
    }

    /// Shows all notes of a part, in the order in which they were made.
    ///
    /// # Errors
    /// When they were not written whole or cannot be read.
    pub fn read(&self, part: usize, mut show: impl FnMut(&Note)) -> Result<()> {
        {
            let mut part = self.parts[part].lock().unwrap_or_else(PoisonError::into_inner);
            part.flush();
            if let Some(error) = part.error.take() {
                return Err(error).context("the notes of the run could not be written");
            }
        }
        let mut file = File::open(self.path(part))?;
        let mut unread: Vec<u8> = Vec::new();
        let mut chunk = vec![0; READ_BYTES];
        loop {
            let read = file.read(&mut chunk)?;
            if read == 0 {
                anyhow::ensure!(unread.is_empty(), "the last note is not whole");
                return Ok(());
            }
            unread.extend_from_slice(&chunk[..read]);
            let mut rest = unread.as_slice();
            while let Some(note) = Note::read(&mut rest) {
                show(&note);
            }
            let used = unread.len() - rest.len();
            unread.drain(..used);
        }
    }

    fn path(&self, part: usize) -> PathBuf {
        self.folder.path().join(part.to_string())
    }
}

impl Part {
    fn flush(&mut self) {
        if self.error.is_none()
            && let Err(error) = self.file.write_all(&self.waiting)
        {
            self.error = Some(error);
        }
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::note::What;
    use super::*;

    #[test]
    fn what_was_noted_is_read_again_part_by_part() {
        let tape = Tape::create().unwrap();
        let note = |t_us| Note {
            t_us,
            device: 1,
            what: What::PageEnd,
        };
        for t_us in 0..50_000 {
            tape.note(t_us as usize % 2, &[note(t_us)]);
        }
        for (part, count) in [(0, 25_000), (1, 25_000), (2, 0)] {
            let mut read = Vec::new();
            tape.read(part, |note| read.push(note.t_us)).unwrap();
            assert_eq!(read.len(), count);
            assert!(read.is_sorted());
        }
    }
}
