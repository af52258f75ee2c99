//! How a format is walked: by headers, in pieces of any size, with bounded memory. The same walk reads a medium first, and
//! then writes its copy without metadata, so that the two cannot differ.

use super::Refused;

/// The largest part that is held as a whole, bytes: the index of a video of some hours.
pub(super) const MAX_HELD: usize = 4 * 1024 * 1024;
/// The longest duration that is believed, milliseconds: a day.
pub(super) const MAX_DURATION_MS: u64 = 24 * 3600 * 1000;

/// The bytes that a format needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// This number of bytes at once, at most [`MAX_HELD`].
    Take(usize),
    /// This number of bytes, unread.
    Pass(u64, Fate),
    /// Any bytes: the format says how many of them it used, at least one.
    Scan,
    /// The rest, whatever its size.
    Rest(Fate),
}

/// The fate of bytes in the clean copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Keep,
    Drop,
    /// Overwritten by zeros, where offsets must stay.
    Blank,
}

/// A format.
pub(super) trait Format {
    fn need(&self) -> Need;

    /// The bytes of a [`Need::Take`].
    fn take(&mut self, bytes: &[u8], out: &mut Out) -> Result<(), Refused>;

    /// Called when a [`Need::Pass`] is over.
    fn passed(&mut self, _out: &mut Out) -> Result<(), Refused> {
        Ok(())
    }

    /// The bytes of a [`Need::Scan`]; returns how many were used.
    fn scan(&mut self, bytes: &[u8], out: &mut Out) -> Result<usize, Refused> {
        out.keep(bytes);
        Ok(bytes.len())
    }

    /// Whether the medium may end here.
    fn may_end(&self) -> bool;
}

/// The clean copy: written, or only compared.
#[derive(Debug, Default)]
pub(super) struct Out {
    /// The bytes not yet fetched; `None` while only comparing.
    pub(super) copy: Option<Vec<u8>>,
    /// Whether the copy differs from the original.
    pub(super) differs: bool,
    /// The size of the copy so far, bytes.
    pub(super) bytes: u64,
}

impl Out {
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        if let Some(copy) = &mut self.copy {
            copy.extend_from_slice(bytes);
        }
    }

    /// Bytes that the original does not have.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.differs = true;
        self.keep(bytes);
    }

    pub(super) fn drop(&mut self) {
        self.differs = true;
    }

    /// Keeps bytes in place of others.
    pub(super) fn replace(&mut self, original: &[u8], by: &[u8]) {
        self.differs |= original != by;
        self.keep(by);
    }

    fn pass(&mut self, bytes: &[u8], fate: Fate) {
        match fate {
            Fate::Keep => self.keep(bytes),
            Fate::Drop => self.differs |= !bytes.is_empty(),
            Fate::Blank => {
                self.bytes += bytes.len() as u64;
                self.differs |= bytes.iter().any(|byte| *byte != 0);
                if let Some(copy) = &mut self.copy {
                    copy.resize(copy.len() + bytes.len(), 0);
                }
            }
        }
    }
}

/// The bytes between pieces.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// The beginning of a [`Need::Take`].
    held: Vec<u8>,
    /// How much of a [`Need::Pass`] is over.
    passed: u64,
}

impl Walk {
    /// Walks over the next bytes.
    pub(super) fn push(
        &mut self,
        format: &mut dyn Format,
        mut bytes: &[u8],
        out: &mut Out,
    ) -> Result<(), Refused> {
        loop {
            match format.need() {
                Need::Take(count) if count > MAX_HELD => return Err(Refused::Parts),
                Need::Take(count) => {
                    let missing = count - self.held.len();
                    if self.held.is_empty() && bytes.len() >= missing {
                        let (taken, rest) = bytes.split_at(missing);
                        bytes = rest;
                        format.take(taken, out)?;
                        continue;
                    }
                    let (taken, rest) = bytes.split_at(missing.min(bytes.len()));
                    self.held.extend_from_slice(taken);
                    bytes = rest;
                    if self.held.len() < count {
                        return Ok(());
                    }
                    let held = std::mem::take(&mut self.held);
                    format.take(&held, out)?;
                }
                Need::Pass(count, fate) => {
                    let left = count - self.passed;
                    let now = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                    let (passing, rest) = bytes.split_at(now);
                    out.pass(passing, fate);
                    bytes = rest;
                    self.passed += now as u64;
                    if self.passed < count {
                        return Ok(());
                    }
                    self.passed = 0;
                    format.passed(out)?;
                }
                Need::Scan if bytes.is_empty() => return Ok(()),
                Need::Scan => {
                    let used = format.scan(bytes, out)?;
                    bytes = &bytes[used..];
                }
                Need::Rest(fate) => {
                    out.pass(bytes, fate);
                    return Ok(());
                }
            }
        }
    }

    /// The end of all bytes.
    pub(super) fn end(&self, format: &dyn Format) -> Result<(), Refused> {
        if self.held.is_empty() && self.passed == 0 && format.may_end() {
            Ok(())
        } else {
            Err(Refused::Damaged)
        }
    }
}

/// A big-endian number of these four bytes; 0 where there are fewer.
pub(super) fn be32(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

/// A big-endian number of these two bytes; 0 where there are fewer.
pub(super) fn be16(bytes: &[u8]) -> u16 {
    bytes.first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes))
}

/// A little-endian number of these four bytes; 0 where there are fewer.
pub(super) fn le32(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// A little-endian number of these two bytes; 0 where there are fewer.
pub(super) fn le16(bytes: &[u8]) -> u16 {
    bytes.first_chunk().map_or(0, |bytes| u16::from_le_bytes(*bytes))
}

/// The bytes after a count; none where there are fewer.
pub(super) fn from(bytes: &[u8], at: usize) -> &[u8] {
    bytes.get(at..).unwrap_or_default()
}
