//! AMR in its file format (RFC 4867, section 5), one channel: a magic text, then frames of 20 ms.

use super::super::{
    Refused,
    walk::{Fate, Format, Need, Out},
};

const MAGIC: &[u8] = b"#!AMR\n";
const WIDE_REST: &[u8] = b"WB\n";
const FRAME_MS: u64 = 20;
/// The bytes of a frame after its first one, by type; `None` for types that files may not have.
const NARROW: [Option<u8>; 16] = sizes([12, 13, 15, 17, 19, 20, 26, 31, 5], 9);
const WIDE: [Option<u8>; 16] = {
    let mut sizes = sizes([17, 23, 32, 36, 40, 46, 50, 58, 60], 9);
    sizes[9] = Some(5);
    // A lost frame.
    sizes[14] = Some(0);
    sizes
};

const fn sizes(known: [u8; 9], count: usize) -> [Option<u8>; 16] {
    let mut sizes = [None; 16];
    let mut at = 0;
    while at < count {
        sizes[at] = Some(known[at]);
        at += 1;
    }
    // No data.
    sizes[15] = Some(0);
    sizes
}

/// A walk over AMR.
#[derive(Debug, Default)]
pub(in super::super) struct Amr {
    state: State,
    is_wide: bool,
    frames: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Magic,
    /// In the magic of the wide band.
    WideMagic,
    /// Before a frame.
    Frame,
    /// In a frame.
    Body(u64),
}

impl Amr {
    pub(in super::super) fn duration_ms(&self) -> u64 {
        self.frames * FRAME_MS
    }
}

impl Format for Amr {
    fn need(&self) -> Need {
        match self.state {
            State::Magic => Need::Take(MAGIC.len()),
            State::WideMagic => Need::Take(WIDE_REST.len()),
            State::Frame => Need::Take(1),
            State::Body(bytes) => Need::Pass(bytes, Fate::Keep),
        }
    }

    fn take(&mut self, bytes: &[u8], out: &mut Out) -> Result<(), Refused> {
        out.keep(bytes);
        self.state = match self.state {
            State::Magic if bytes == MAGIC => State::Frame,
            State::Magic if bytes == b"#!AMR-" => State::WideMagic,
            State::WideMagic if bytes == WIDE_REST => {
                self.is_wide = true;
                State::Frame
            }
            State::Magic | State::WideMagic => {
                return Err(Refused::Type {
                    announced: "audio/amr",
                });
            }
            State::Frame | State::Body(_) => {
                let sizes = if self.is_wide { WIDE } else { NARROW };
                let kind = usize::from(bytes[0] >> 3 & 0x0f);
                // The first and the last two bits are padding.
                let size = sizes[kind].filter(|_| bytes[0] & 0x83 == 0);
                self.frames += 1;
                State::Body(size.ok_or(Refused::Damaged)?.into())
            }
        };
        Ok(())
    }

    fn passed(&mut self, _out: &mut Out) -> Result<(), Refused> {
        self.state = State::Frame;
        Ok(())
    }

    fn may_end(&self) -> bool {
        self.state == State::Frame && self.frames > 0
    }
}
