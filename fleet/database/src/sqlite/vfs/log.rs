//! The log, written a commit at a time. SQLite writes each page of a commit with two calls, 24 bytes and the page. Contiguous
//! log writes of one commit are coalesced into one `write`, before any other operation on the file. A commit is synced before
//! other connections may see it ([`crate::sqlite::open`] sets `synchronous = FULL`), so only the connection itself looks for
//! gathered bytes, and its reads come by here. That holds on disks that do not spoil the bytes beside a write, as SQLite assumes
//! unless `psow=0`; then nothing is gathered. Bytes of a transaction that was rolled back are dropped before another
//! connection can write ([`super::Shared::drop_gathered`]).
//!
//! A page that is read from the log is verified by the checksum of its frame. SQLite does so at a start only. That checksum
//! begins with the one of the frame before, so the log needs no sums in its pages, and has those of cksumvfs only where the
//! page had one already.

use std::{ffi::c_int, sync::Arc};

use rusqlite::ffi;

use super::{
    Below, Code, File, Operation, Outcome, Question, Shared, damage,
    header::Seal,
    sum::{Sum, sum_up},
};

/// Capacity of the gathered bytes; a longer commit goes in several pieces. SQLite writes no more at once: of a longer amount it
/// uses the lower 17 bits (`seekAndWriteFd`).
const GATHERED_BYTES: usize = 0x1_ffff;
const HEADER_BYTES: i64 = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// Where the log's header and a frame's have their checksums.
const HEADER_SUM_AT: i64 = 24;
const FRAME_SUM_AT: usize = 16;

/// Contiguous bytes that were not passed on yet.
#[derive(Default)]
pub(super) struct Gathered {
    /// The place of `bytes` in the file.
    start: i64,
    bytes: Vec<u8>,
    /// Why gathered bytes were lost outside of a write. The next sync fails with it, so that no commit that needs them
    /// succeeds.
    lost: Option<Code>,
    /// Those of the log's header: a restarted log has others.
    salts: Option<[u32; 2]>,
}

impl Gathered {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    pub(super) fn salts(&self) -> Option<[u32; 2]> {
        self.salts
    }

    fn write(&mut self, below: &mut dyn Below, bytes: &[u8], at: i64) -> Outcome {
        if at == 0
            && let Some(header) = bytes.get(16..24)
        {
            self.salts = Some([word(header, 0), word(header, 4)]);
        }
        let is_next = at == self.start + self.bytes.len() as i64;
        if !is_next || self.bytes.len() + bytes.len() > GATHERED_BYTES {
            self.flush(below)?;
        }
        if self.bytes.is_empty() {
            self.start = at;
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes the gathered bytes. They are gone afterwards, also on failure: SQLite then rolls the transaction back.
    fn flush(&mut self, below: &mut dyn Below) -> Outcome {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let written = below.write(&self.bytes, self.start);
        self.bytes.clear();
        written
    }

    /// The same before an operation outside of a commit.
    fn flush_for_others(&mut self, below: &mut dyn Below) -> Outcome {
        let written = self.flush(below);
        if let Err(code) = written {
            self.lost = Some(code);
        }
        written
    }

    fn flush_for_sync(&mut self, below: &mut dyn Below) -> Outcome {
        match self.lost.take() {
            Some(code) => {
                self.bytes.clear();
                Err(code)
            }
            None => self.flush(below),
        }
    }
}

pub(super) struct Log {
    name: String,
    shared: Arc<Shared>,
    gathers: bool,
    /// Whether checksums are of big-endian words, once its header was read.
    is_big_endian: Option<bool>,
    /// The place of the last written frame header.
    header_at: i64,
    /// From this frame on checksums are written at the commit only, since the transaction overwrote a page.
    unsettled: i64,
    frame: Vec<u8>,
}

impl Log {
    /// The log of a database file.
    pub(super) fn new(name: String, shared: Arc<Shared>, characteristics: c_int) -> Self {
        Self {
            name,
            shared,
            gathers: characteristics & ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE != 0,
            is_big_endian: None,
            header_at: -1,
            unsettled: i64::MAX,
            frame: Vec::new(),
        }
    }

    /// Runs work on the gathered bytes; `None` where writes are not gathered.
    fn gathered(&self, work: impl FnOnce(&mut Gathered) -> Outcome) -> Option<Outcome> {
        if !self.gathers {
            return None;
        }
        self.shared.gathered.lock().as_mut().map(work)
    }

    /// Frames that a transaction overwrites get their checksums when it commits.
    fn watch(&mut self, bytes: usize, at: i64) {
        if bytes == FRAME_HEADER_BYTES {
            self.header_at = at;
        } else if at == 0 {
            self.unsettled = i64::MAX;
        } else if let Some(frame) = frame_of(bytes, at)
            && self.header_at != at - FRAME_HEADER_BYTES as i64
        {
            self.unsettled = self.unsettled.min(frame);
        }
    }

    /// Reads a page of a frame, and verifies it by its checksum.
    fn read_page(&mut self, below: &mut dyn Below, frame: i64, into: &mut [u8], at: i64) -> Outcome {
        let frame_at = at - FRAME_HEADER_BYTES as i64;
        let before_at = match frame {
            0 => HEADER_SUM_AT,
            _ => frame_at - (FRAME_HEADER_BYTES + into.len() - FRAME_SUM_AT) as i64,
        };
        let mut before = [0; 8];
        below.read(&mut before, before_at)?;
        let is_big_endian = match self.is_big_endian {
            Some(known) => known,
            None => {
                let mut magic = [0; 4];
                below.read(&mut magic, 0)?;
                *self.is_big_endian.insert(magic[3] & 1 == 1)
            }
        };
        self.frame.resize(FRAME_HEADER_BYTES + into.len(), 0);
        below.read(&mut self.frame, frame_at)?;
        let (header, page) = self.frame.split_at(FRAME_HEADER_BYTES);
        into.copy_from_slice(page);
        let sum: Sum = [word(&before, 0), word(&before, 4)];
        let sum = sum_up(sum, &header[..8], is_big_endian);
        let sum = sum_up(sum, page, is_big_endian);
        let number = word(header, 0);
        if sum != [word(header, FRAME_SUM_AT), word(header, FRAME_SUM_AT + 4)] {
            damage::note(format!("frame {} (page {number}) of {}", frame + 1, self.name));
            return Err(Code(ffi::SQLITE_IOERR_DATA));
        }
        if number == 1
            && let Some(seal) = Seal::of(page)
        {
            self.shared.seal.set(seal);
        }
        Ok(())
    }
}

impl File for Log {
    fn read(&mut self, below: &mut dyn Below, into: &mut [u8], at: i64) -> Outcome {
        self.shared.pass(Operation::Read);
        self.gathered(|gathered| gathered.flush_for_others(below))
            .unwrap_or(Ok(()))?;
        match frame_of(into.len(), at) {
            Some(frame) if frame < self.unsettled => {
                let read = self.read_page(below, frame, into, at);
                if read.is_err() {
                    into.fill(0);
                }
                read
            }
            _ => below.read(into, at),
        }
    }

    fn write(&mut self, below: &mut dyn Below, bytes: &[u8], at: i64) -> Outcome {
        self.shared.pass(Operation::Write);
        self.watch(bytes.len(), at);
        match self.gathered(|gathered| gathered.write(below, bytes, at)) {
            Some(written) => written,
            None => below.write(bytes, at),
        }
    }

    fn truncate(&mut self, below: &mut dyn Below, bytes: i64) -> Outcome {
        self.gathered(|gathered| gathered.flush_for_others(below))
            .unwrap_or(Ok(()))?;
        below.truncate(bytes)
    }

    fn sync(&mut self, below: &mut dyn Below, flags: c_int) -> Outcome {
        self.gathered(|gathered| gathered.flush_for_sync(below))
            .unwrap_or(Ok(()))?;
        self.unsettled = i64::MAX;
        self.shared.pass(Operation::Sync);
        below.sync(flags)
    }

    fn bytes(&mut self, below: &mut dyn Below) -> Outcome<i64> {
        self.gathered(|gathered| gathered.flush_for_others(below))
            .unwrap_or(Ok(()))?;
        below.bytes()
    }

    fn characteristics(&mut self, below: &mut dyn Below) -> c_int {
        below.characteristics()
    }

    fn answer(&mut self, _: &mut dyn Below, _: &mut Question) -> Outcome {
        Err(Code(ffi::SQLITE_NOTFOUND))
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

/// The frame, from 0, whose page these bytes at this place are.
fn frame_of(bytes: usize, at: i64) -> Option<i64> {
    let frame_bytes = (FRAME_HEADER_BYTES + bytes) as i64;
    let from_first = at - HEADER_BYTES - FRAME_HEADER_BYTES as i64;
    let is_page = (512..=65_536).contains(&bytes) && bytes.is_power_of_two();
    (is_page && from_first >= 0 && from_first % frame_bytes == 0).then(|| from_first / frame_bytes)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
