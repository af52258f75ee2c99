//! Reads a log before SQLite does. SQLite recovers a log up to its first bad frame and silently drops the rest: right for
//! the torn end of a write that was never acknowledged, wrong for anything else.
//!
//! A commit is synced before the next transaction writes its first frame, and a failed sync ends the process. So frames of
//! the next commit prove that this one was on the disk, and a bad frame with such frames behind it is damage. Which frames
//! belong to which commit is shown by commit markers (docs/decisions/0007-damage.md has the argument).

use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

use crate::sqlite::vfs::sum::{Sum, sum_up};

/// Read at a time, bytes.
const BUFFER_BYTES: usize = 1024 * 1024;
const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// The last bit is the byte order of the sums.
const MAGIC: u32 = 0x377f_0682;

/// The state of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Log {
    /// No file, or no whole header.
    Empty,
    /// Commits, and perhaps the torn end of one that was never acknowledged.
    Whole {
        /// Of its header; each restart of the log increments the first of them.
        salts: [u32; 2],
        /// Frames up to the last commit that SQLite finds.
        committed: u64,
    },
    /// Its header cannot be read, and commits stand behind it: SQLite would treat it as empty.
    BadHeader,
    /// A frame cannot be read, and commits that were synced stand behind it.
    BadFrame {
        /// Which one, from 1.
        frame: u64,
        /// Frames up to the last commit before it.
        committed: u64,
    },
}

impl Log {
    /// Reads a log. `page_bytes` is the page size of its database, for a log whose header does not say it.
    pub(super) fn read(path: &Path, page_bytes: usize) -> io::Result<Self> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Empty),
            Err(error) => return Err(error),
        };
        Self::read_from(BufReader::with_capacity(BUFFER_BYTES, file), page_bytes)
    }

    /// The pages that stand in a log.
    pub(super) fn pages(path: &Path) -> io::Result<HashSet<u32>> {
        let mut pages = HashSet::new();
        let mut log = match File::open(path) {
            Ok(file) => BufReader::with_capacity(BUFFER_BYTES, file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(pages),
            Err(error) => return Err(error),
        };
        let mut header = [0; HEADER_BYTES];
        if !fill(&mut log, &mut header)? {
            return Ok(pages);
        }
        let Some(header) = Header::parse(&header) else {
            return Ok(pages);
        };
        let mut bytes = vec![0; FRAME_HEADER_BYTES + header.page_bytes];
        while fill(&mut log, &mut bytes)? {
            let frame = Frame::parse(&bytes);
            if frame.salts == header.salts {
                pages.insert(frame.page);
            }
        }
        Ok(pages)
    }

    fn read_from(mut log: impl Read, page_bytes: usize) -> io::Result<Self> {
        let mut header = [0; HEADER_BYTES];
        if !fill(&mut log, &mut header)? {
            return Ok(Self::Empty);
        }
        match Header::parse(&header) {
            Some(header) => header.judge(log),
            None => Header::guess(&header, page_bytes).judge_without_header(log, &header),
        }
    }
}

#[derive(Clone, Copy)]
struct Header {
    is_big_endian: bool,
    page_bytes: usize,
    salts: [u32; 2],
    sum: Sum,
}

impl Header {
    /// `None` when SQLite did not write it.
    fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let magic = word(bytes, 0);
        let header = Self {
            is_big_endian: magic & 1 == 1,
            page_bytes: word(bytes, 8) as usize,
            salts: [word(bytes, 16), word(bytes, 20)],
            sum: [word(bytes, 24), word(bytes, 28)],
        };
        let is_good = magic & !1 == MAGIC
            && header.page_bytes.is_power_of_two()
            && (512..=65_536).contains(&header.page_bytes)
            && header.sum_up([0, 0], &bytes[..24]) == header.sum;
        is_good.then_some(header)
    }

    /// As this machine would have written it.
    fn guess(bytes: &[u8; HEADER_BYTES], page_bytes: usize) -> Self {
        Self {
            is_big_endian: cfg!(target_endian = "big"),
            page_bytes,
            salts: [word(bytes, 16), word(bytes, 20)],
            sum: [word(bytes, 24), word(bytes, 28)],
        }
    }

    fn sum_up(&self, sum: Sum, bytes: &[u8]) -> Sum {
        sum_up(sum, bytes, self.is_big_endian)
    }

    fn judge(self, mut log: impl Read) -> io::Result<Log> {
        let mut bytes = vec![0; FRAME_HEADER_BYTES + self.page_bytes];
        let (mut at, mut committed, mut before) = (0, 0, self.sum);
        // Pages of the transaction that is being read.
        let mut pages = HashSet::new();
        while fill(&mut log, &mut bytes)? {
            at += 1;
            let frame = Frame::parse(&bytes);
            if !frame.is_after(&self, before, &bytes) {
                let rest = Rest {
                    header: self,
                    pages,
                    has_bad_marker: false,
                    markers: 0,
                };
                return Ok(match rest.proves_a_sync(log, bytes)? {
                    true => Log::BadFrame { frame: at, committed },
                    false => Log::Whole {
                        salts: self.salts,
                        committed,
                    },
                });
            }
            before = frame.sum;
            pages.insert(frame.page);
            if frame.is_marker {
                committed = at;
                pages.clear();
            }
        }
        Ok(Log::Whole {
            salts: self.salts,
            committed,
        })
    }

    /// Looks for a commit behind a header that cannot be read. The header was synced before the first frame went in.
    fn judge_without_header(self, mut log: impl Read, header: &[u8; HEADER_BYTES]) -> io::Result<Log> {
        let mut bytes = vec![0; FRAME_HEADER_BYTES + self.page_bytes];
        // The checksum in the header, or the one of its bytes: either half of it may be damaged.
        let mut before = vec![self.sum, self.sum_up([0, 0], &header[..24])];
        let mut salts = None;
        while fill(&mut log, &mut bytes)? {
            let frame = Frame::parse(&bytes);
            let own = Self {
                salts: frame.salts,
                ..self
            };
            let follows = salts.is_none_or(|salts| salts == frame.salts);
            let is_good = before.iter().any(|before| frame.is_after(&own, *before, &bytes));
            if follows && is_good && frame.is_marker {
                return Ok(Log::BadHeader);
            }
            before = vec![frame.sum];
            salts = Some(frame.salts);
        }
        Ok(Log::Empty)
    }
}

struct Frame {
    page: u32,
    /// It ends a commit.
    is_marker: bool,
    salts: [u32; 2],
    sum: Sum,
}

impl Frame {
    fn parse(bytes: &[u8]) -> Self {
        Self {
            page: word(bytes, 0),
            is_marker: word(bytes, 4) != 0,
            salts: [word(bytes, 8), word(bytes, 12)],
            sum: [word(bytes, 16), word(bytes, 20)],
        }
    }

    /// Whether it was written behind a frame with this checksum. A frame's checksum begins with that of the frame
    /// before it, as stored there: so a good frame is recognized also behind a bad one.
    fn is_after(&self, header: &Header, before: Sum, bytes: &[u8]) -> bool {
        self.page != 0 && self.salts == header.salts && {
            let sum = header.sum_up(before, &bytes[..8]);
            header.sum_up(sum, &bytes[FRAME_HEADER_BYTES..]) == self.sum
        }
    }
}

/// The frames behind the last commit that SQLite finds, from a bad frame on.
struct Rest {
    header: Header,
    /// Pages of the transaction with the bad frame in it, as far as frames show.
    pages: HashSet<u32>,
    /// A bad frame is marked as the end of a commit.
    has_bad_marker: bool,
    /// Good frames that end a commit.
    markers: u32,
}

impl Rest {
    /// Whether frames were written after the commit with the bad frame in it, and so after its sync. A write that a power
    /// cut tore may have holes, but it has one marker, at its end, and each page once.
    fn proves_a_sync(mut self, mut log: impl Read, mut bytes: Vec<u8>) -> io::Result<bool> {
        let bad = Frame::parse(&bytes);
        let mut has_page_twice = self.note_bad(&bad);
        let mut before = bad.sum;
        while fill(&mut log, &mut bytes)? {
            let frame = Frame::parse(&bytes);
            if !frame.is_after(&self.header, before, &bytes) {
                has_page_twice |= self.markers == 0 && self.note_bad(&frame);
            } else if frame.is_marker {
                self.markers += 1;
                if self.has_bad_marker || has_page_twice || self.markers > 1 {
                    return Ok(true);
                }
            } else if self.markers == 0 {
                has_page_twice |= !self.pages.insert(frame.page);
            }
            before = frame.sum;
        }
        Ok(false)
    }

    /// Returns whether its page was there already. A frame from before the log's restart counts for nothing.
    fn note_bad(&mut self, frame: &Frame) -> bool {
        if frame.salts != self.header.salts {
            return false;
        }
        self.has_bad_marker |= frame.is_marker;
        !self.pages.insert(frame.page)
    }
}

/// Fills a buffer; false when there is less.
fn fill(log: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
