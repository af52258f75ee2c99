//! Disks for tests of the layer: one in memory, and the real one with faults.

use std::{cell::RefCell, ffi::c_int};

use rusqlite::ffi;

use crate::sqlite::vfs::{Below, Code, Outcome};

/// Requests to a disk.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) reads: Count,
    pub(crate) writes: Count,
    pub(crate) syncs: Count,
}

/// Requests of one kind, and their outcome from now on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) asked: u32,
    pub(crate) fails: Option<Code>,
}

impl Count {
    fn ask(&mut self) -> Outcome {
        self.asked += 1;
        self.fails.map_or(Ok(()), Err)
    }
}

thread_local! {
    static COUNTS: RefCell<Counts> = RefCell::default();
}

/// Accesses the requests of this thread to the real disk.
pub(crate) fn counts<T>(work: impl FnOnce(&mut Counts) -> T) -> T {
    COUNTS.with_borrow_mut(work)
}

/// Counts a request to the real disk.
pub(crate) fn count(what: impl FnOnce(&mut Counts) -> &mut Count) -> Outcome {
    counts(|counts| what(counts).ask())
}

/// A file in memory.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) bytes: Vec<u8>,
    pub(crate) counts: Counts,
}

impl Below for Memory {
    fn read(&mut self, into: &mut [u8], at: i64) -> Outcome {
        self.counts.reads.ask()?;
        let from = usize::try_from(at).unwrap().min(self.bytes.len());
        let there = into.len().min(self.bytes.len() - from);
        into[..there].copy_from_slice(&self.bytes[from..from + there]);
        into[there..].fill(0);
        match there == into.len() {
            true => Ok(()),
            false => Err(Code(ffi::SQLITE_IOERR_SHORT_READ)),
        }
    }

    fn write(&mut self, bytes: &[u8], at: i64) -> Outcome {
        self.counts.writes.ask()?;
        let from = usize::try_from(at).unwrap();
        let end = from + bytes.len();
        self.bytes.resize(self.bytes.len().max(end), 0);
        self.bytes[from..end].copy_from_slice(bytes);
        Ok(())
    }

    fn truncate(&mut self, bytes: i64) -> Outcome {
        self.bytes.truncate(usize::try_from(bytes).unwrap());
        Ok(())
    }

    fn sync(&mut self, _: c_int) -> Outcome {
        self.counts.syncs.ask()
    }

    fn bytes(&mut self) -> Outcome<i64> {
        Ok(self.bytes.len() as i64)
    }

    fn characteristics(&mut self) -> c_int {
        ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE | ffi::SQLITE_IOCAP_SUBPAGE_READ
    }
}
