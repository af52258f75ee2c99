//! Opus in Ogg (RFC 7845): pages of one stream.

use super::super::{
    Refused,
    walk::{Fate, Format, Need, Out, le16, le32},
};

const HEADER_BYTES: usize = 27;
/// Opus counts time in samples of 48 kHz, whatever it was recorded with.
const SAMPLES_PER_MS: u64 = 48;
/// No packet ends on the page.
const NO_TIME: u64 = u64::MAX;

/// A walk over Ogg.
#[derive(Debug, Default)]
pub(in super::super) struct Ogg {
    state: State,
    stream: Option<u32>,
    /// Samples before the first that is heard; `None` before the head of the stream.
    skipped: Option<u64>,
    last: u64,
    is_last_page: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before a page.
    #[default]
    Page,
    /// Before the sizes of its segments.
    Sizes(usize),
    /// In the body of the first page.
    Head(usize),
    /// In the body of another one.
    Body(u64),
}

impl Ogg {
    pub(in super::super) fn duration_ms(&self) -> u64 {
        self.last.saturating_sub(self.skipped.unwrap_or(0)) / SAMPLES_PER_MS
    }

    fn page(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let stream = le32(&bytes[14..]);
        let is_first = bytes[5] & 2 != 0;
        if !bytes.starts_with(b"OggS\0") || self.stream.is_none() && !is_first {
            return Err(self.refusal());
        }
        // Another stream beside or behind the first one.
        if self.is_last_page || self.stream.is_some_and(|known| known != stream || is_first) {
            return Err(Refused::Damaged);
        }
        let time = u64::from(le32(&bytes[6..])) | u64::from(le32(&bytes[10..])) << 32;
        if time != NO_TIME {
            if time < self.last {
                return Err(Refused::Damaged);
            }
            self.last = time;
        }
        self.is_last_page = bytes[5] & 4 != 0;
        self.state = State::Sizes(bytes[26].into());
        if self.stream.is_none() && bytes[26] == 0 {
            return Err(self.refusal());
        }
        self.stream = Some(stream);
        Ok(())
    }

    fn refusal(&self) -> Refused {
        if self.stream.is_none() {
            return Refused::Type {
                announced: "audio/opus",
            };
        }
        Refused::Damaged
    }
}

impl Format for Ogg {
    fn need(&self) -> Need {
        match self.state {
            State::Page => Need::Take(HEADER_BYTES),
            State::Sizes(bytes) | State::Head(bytes) => Need::Take(bytes),
            State::Body(bytes) => Need::Pass(bytes, Fate::Keep),
        }
    }

    fn take(&mut self, bytes: &[u8], out: &mut Out) -> Result<(), Refused> {
        out.keep(bytes);
        match self.state {
            State::Page => self.page(bytes)?,
            State::Sizes(_) => {
                let body: u64 = bytes.iter().map(|size| u64::from(*size)).sum();
                self.state = match self.skipped {
                    None => State::Head(usize::try_from(body).map_err(|_| Refused::Damaged)?),
                    Some(_) => State::Body(body),
                };
            }
            State::Head(_) => {
                if !bytes.starts_with(b"OpusHead") || bytes.len() < 19 {
                    return Err(Refused::Type {
                        announced: "audio/opus",
                    });
                }
                self.skipped = Some(le16(&bytes[10..]).into());
                self.state = State::Page;
            }
            State::Body(_) => return Err(Refused::Damaged),
        }
        Ok(())
    }

    fn passed(&mut self, _out: &mut Out) -> Result<(), Refused> {
        self.state = State::Page;
        Ok(())
    }

    fn may_end(&self) -> bool {
        self.state == State::Page && self.stream.is_some() && self.last > 0
    }
}
