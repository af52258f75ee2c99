//! The database file. Each page that is written gets its sum, each that is read is verified, in the form of SQLite's
//! cksumvfs: the last eight bytes, which SQLite leaves alone.
//!
//! A checkpointer's file is paced, too: SQLite writes all pages of a pass first and syncs them then; the disk is busy with
//! them for many milliseconds, and the commits that sync the log meanwhile wait for all of it.

use std::{borrow::Cow, ffi::c_int, sync::Arc};

use rusqlite::ffi;

use super::{
    Below, Code, File, Operation, Outcome, Pages, Question, RESERVED_BYTES, Shared, damage,
    header::{self, Seal},
    sum,
};

/// Bytes between two syncs: a third of a millisecond for a disk that writes 1 GB/s.
const PACE_BYTES: i64 = 256 * 1024;
/// How often a page that looks damaged is read: a server may be writing it.
const READS: usize = 3;

pub(super) struct Main {
    name: String,
    shared: Arc<Shared>,
    /// It is created with sums, whatever header is copied into it.
    is_new: bool,
    /// A page was written before it was known whether it needs a sum.
    has_unsummed: bool,
    pace: Option<Pace>,
}

#[derive(Default)]
struct Pace {
    unsynced: i64,
    failed: Option<Code>,
}

impl Main {
    /// A file of this name. `is_new` when it is empty and gets sums.
    pub(super) fn new(name: String, is_new: bool) -> Self {
        let shared = Arc::new(Shared::new(&name));
        if is_new {
            shared.seal.set(Seal::Sealed);
        }
        Self {
            name,
            shared,
            is_new,
            has_unsummed: false,
            pace: None,
        }
    }

    /// Whether the first page is good; notes whether the pages have sums.
    fn looks_at_first(&mut self, page: &[u8]) -> bool {
        if self.is_new {
            return is_good(page);
        }
        let seal = Seal::of(page);
        let is_known = self.shared.seal.get() == Seal::Sealed;
        match seal {
            Some(Seal::Sealed) => {}
            // Bytes that are reserved for sums stay reserved.
            Some(_) if is_known && page[header::RESERVED_AT] != RESERVED_BYTES => return false,
            // Sealed, but for the byte that says so.
            Some(_) if page[header::RESERVED_AT] != RESERVED_BYTES && is_sealed_but_for_that(page) => {
                return false;
            }
            Some(seal) => {
                self.shared.seal.set(seal);
                return true;
            }
            None if is_known => {}
            None => return true,
        }
        if !is_good(page) {
            return false;
        }
        self.shared.seal.set(Seal::Sealed);
        true
    }

    fn verify(&mut self, below: &mut dyn Below, pages: &mut Pages) -> Outcome {
        let mut page = vec![0; pages.page_bytes];
        for number in pages.first..pages.first.saturating_add(pages.count) {
            let at = i64::from(number - 1) * pages.page_bytes as i64;
            let mut is_whole = false;
            for _ in 0..READS {
                match below.read(&mut page, at) {
                    Ok(()) => {}
                    Err(Code(ffi::SQLITE_IOERR_SHORT_READ)) => break,
                    Err(code) => return Err(code),
                }
                is_whole = is_good(&page);
                if is_whole {
                    break;
                }
            }
            if !is_whole {
                pages.damaged.push(number);
            }
        }
        Ok(())
    }

    fn sync_paced(&mut self, below: &mut dyn Below) -> Outcome {
        if let Some(pace) = &mut self.pace {
            pace.unsynced = 0;
        }
        self.shared.pass(Operation::Sync);
        below.sync(ffi::SQLITE_SYNC_NORMAL | ffi::SQLITE_SYNC_DATAONLY)
    }
}

impl File for Main {
    fn read(&mut self, below: &mut dyn Below, into: &mut [u8], at: i64) -> Outcome {
        self.shared.pass(Operation::Read);
        let read = below.read(into, at);
        // SQLite reads zeros behind the end, which have a sum; a page that was cut off has none.
        if read.is_err() && read != Err(Code(ffi::SQLITE_IOERR_SHORT_READ)) {
            return read;
        }
        let is_good = if !is_page(into.len(), at) {
            if at == 0
                && self.shared.seal.get() != Seal::Sealed
                && let Some(seal) = Seal::of(into)
            {
                self.shared.seal.set(seal);
            }
            true
        } else if at == 0 {
            self.looks_at_first(into)
        } else {
            self.shared.seal.get() != Seal::Sealed || is_good(into)
        };
        if is_good {
            return read;
        }
        let page = at / into.len() as i64 + 1;
        damage::note(format!("page {page} of {}", self.name));
        Err(Code(ffi::SQLITE_IOERR_DATA))
    }

    fn write(&mut self, below: &mut dyn Below, bytes: &[u8], at: i64) -> Outcome {
        self.shared.pass(Operation::Write);
        let mut bytes = Cow::Borrowed(bytes);
        if is_page(bytes.len(), at) {
            if at == 0
                && !self.is_new
                && let Some(seal) = Seal::of(&bytes)
            {
                self.shared.seal.set(seal);
            }
            match self.shared.seal.get() {
                Seal::Sealed if self.has_unsummed => return Err(Code(ffi::SQLITE_IOERR_WRITE)),
                Seal::Sealed => seal(bytes.to_mut()),
                Seal::Unsealed => self.has_unsummed = false,
                Seal::Unknown => self.has_unsummed = true,
            }
        }
        below.write(&bytes, at)?;
        let Some(pace) = &mut self.pace else {
            return Ok(());
        };
        pace.unsynced += bytes.len() as i64;
        if pace.unsynced < PACE_BYTES {
            return Ok(());
        }
        let synced = self.sync_paced(below);
        if let (Err(code), Some(pace)) = (synced, &mut self.pace) {
            pace.failed = Some(code);
        }
        synced
    }

    fn truncate(&mut self, below: &mut dyn Below, bytes: i64) -> Outcome {
        below.truncate(bytes)
    }

    fn sync(&mut self, below: &mut dyn Below, flags: c_int) -> Outcome {
        self.shared.pass(Operation::Sync);
        below.sync(flags)
    }

    fn bytes(&mut self, below: &mut dyn Below) -> Outcome<i64> {
        below.bytes()
    }

    /// A part of a page cannot be verified, so SQLite must read whole pages.
    fn characteristics(&mut self, below: &mut dyn Below) -> c_int {
        let all = below.characteristics();
        match self.shared.seal.get() {
            Seal::Unsealed => all,
            Seal::Sealed | Seal::Unknown => all & !ffi::SQLITE_IOCAP_SUBPAGE_READ,
        }
    }

    fn answer(&mut self, below: &mut dyn Below, question: &mut Question) -> Outcome {
        match question {
            Question::Shared(shared) => *shared = Some(self.shared.clone()),
            Question::Pace => self.pace = Some(Pace::default()),
            Question::SyncPaced => {
                let earlier = self.pace.as_mut().and_then(|pace| pace.failed.take());
                self.sync_paced(below)?;
                return earlier.map_or(Ok(()), Err);
            }
            Question::Verify(pages) => return self.verify(below, pages),
        }
        Ok(())
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

/// Whether these bytes at this place are a page.
fn is_page(bytes: usize, at: i64) -> bool {
    (512..=65_536).contains(&bytes) && bytes.is_power_of_two() && at % bytes as i64 == 0
}

fn seal(page: &mut [u8]) {
    let (content, end) = page.split_at_mut(page.len() - usize::from(RESERVED_BYTES));
    end.copy_from_slice(&sum::of_page(content));
}

fn is_good(page: &[u8]) -> bool {
    let (content, end) = page.split_at(page.len() - usize::from(RESERVED_BYTES));
    sum::of_page(content) == end
}

fn is_sealed_but_for_that(page: &[u8]) -> bool {
    let mut mended = page.to_vec();
    mended[header::RESERVED_AT] = RESERVED_BYTES;
    is_good(&mended)
}

#[cfg(test)]
#[path = "main_tests.rs"]
mod tests;
