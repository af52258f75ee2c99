//! WebP: one bitstream, alone or in an extended file with profile, transparency and metadata.

use image::metadata::Orientation;

use super::{
    super::{
        Refused,
        walk::{Fate, Format, Need, Out, from, le16, le32},
    },
    Picture, exif,
};

const EXIF_FLAG: u8 = 0x08;
const ANIMATION_FLAG: u8 = 0x02;
/// Profile and transparency: the flags that stay.
const KEPT_FLAGS: u8 = 0x20 | 0x10;
/// The largest EXIF that is read, bytes.
const MAX_EXIF_BYTES: u32 = 64 * 1024;

/// The turn and size of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Copied {
    pub(in super::super) turn: Orientation,
    /// The size of all, bytes.
    pub(in super::super) bytes: u64,
}

/// A walk over a WebP.
#[derive(Debug)]
pub(in super::super) struct Webp {
    pub(in super::super) picture: Picture,
    state: State,
    /// The size of the chunks that have not begun, bytes, by the file's header.
    left: u64,
    is_extended: bool,
    has_data: bool,
    has_exif: bool,
    /// Whether the copy has its EXIF from the original.
    is_turned: bool,
    copied: Option<Copied>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Header,
    /// Before the name and size of a chunk.
    Chunk,
    /// In the first bytes of a chunk of this kind and size.
    Head([u8; 4], u32),
    /// In the rest of a chunk.
    Body(u64, Fate),
    End,
}

impl Webp {
    /// A walk that reads, or one that writes a copy.
    pub(in super::super) fn new(copied: Option<Copied>) -> Self {
        Self {
            picture: Picture::default(),
            state: State::Header,
            left: 0,
            is_extended: false,
            has_data: false,
            has_exif: copied.is_some(),
            is_turned: false,
            copied,
        }
    }

    /// The turn and size of a copy that keeps this many bytes.
    pub(in super::super) fn copied(&self, kept: u64) -> Copied {
        let turn = self.picture.turn;
        let added = exif::block(turn).filter(|_| !self.is_turned);
        Copied {
            turn,
            bytes: kept + added.map_or(0, |block| chunk_of(&block).len() as u64),
        }
    }

    fn header(&mut self, bytes: &[u8], out: &mut Out) -> Result<(), Refused> {
        if !bytes.starts_with(b"RIFF") || !bytes.ends_with(b"WEBP") {
            return Err(Refused::Type {
                announced: "image/webp",
            });
        }
        let size = le32(&bytes[4..]);
        self.left = u64::from(size).checked_sub(4).ok_or(Refused::Damaged)?;
        let copied = self
            .copied
            .map_or(size, |copied| u32::try_from(copied.bytes - 8).unwrap_or(size));
        out.keep(b"RIFF");
        out.keep(&copied.to_le_bytes());
        out.keep(b"WEBP");
        self.next(out)
    }

    /// Before the next chunk, or behind the last one.
    fn next(&mut self, out: &mut Out) -> Result<(), Refused> {
        if self.left >= 8 {
            self.state = State::Chunk;
            return Ok(());
        }
        if self.left > 0 || !self.has_data {
            return Err(Refused::Damaged);
        }
        if let Some(block) = self.copied.and_then(|copied| exif::block(copied.turn))
            && self.is_extended
        {
            out.keep(&chunk_of(&block));
        }
        self.state = State::End;
        Ok(())
    }

    fn chunk(&mut self, head: &[u8], out: &mut Out) -> Result<(), Refused> {
        let size = le32(&head[4..]);
        let kind: [u8; 4] = *head.first_chunk().ok_or(Refused::Damaged)?;
        let padded = u64::from(size) + u64::from(size % 2);
        self.left = self.left.checked_sub(8 + padded).ok_or(Refused::Damaged)?;
        let is_first = !self.picture.has_size() && !self.is_extended;
        let wanted = match &kind {
            b"VP8X" if is_first => 10,
            b"VP8 " if !self.has_data => 10,
            b"VP8L" if !self.has_data => 5,
            b"ANIM" | b"ANMF" => return Err(Refused::Moves),
            b"EXIF" if !self.has_exif && size <= MAX_EXIF_BYTES && self.is_extended => size,
            _ if is_first => return Err(Refused::Damaged),
            b"ICCP" | b"ALPH" if self.is_extended && !self.has_data => {
                out.keep(head);
                self.state = State::Body(padded, Fate::Keep);
                return Ok(());
            }
            _ => {
                out.drop();
                self.state = State::Body(padded, Fate::Drop);
                return Ok(());
            }
        };
        if size < wanted {
            return Err(Refused::Damaged);
        }
        self.state = State::Head(kind, size);
        Ok(())
    }

    /// How much of a chunk is read.
    fn head_bytes(kind: [u8; 4], size: u32) -> usize {
        match &kind {
            b"VP8L" => 5,
            b"EXIF" => size as usize + size as usize % 2,
            _ => 10,
        }
    }

    fn head(&mut self, kind: [u8; 4], size: u32, bytes: &[u8], out: &mut Out) -> Result<(), Refused> {
        let rest = u64::from(size) + u64::from(size % 2) - bytes.len() as u64;
        self.state = State::Body(rest, Fate::Keep);
        let size_of = |width: u32, height: u32| (width & 0x3fff, height & 0x3fff);
        match &kind {
            b"VP8X" => {
                self.is_extended = true;
                if bytes[0] & ANIMATION_FLAG != 0 {
                    return Err(Refused::Moves);
                }
                let (width, height) = (le32(&bytes[4..]) & 0xff_ffff, le32(&bytes[6..]) >> 8);
                self.picture.set_size(width + 1, height + 1)?;
                return self.extended(bytes, size, out);
            }
            b"EXIF" => {
                self.exif(&bytes[..size as usize], out);
                return Ok(());
            }
            b"VP8 " => {
                // A key frame, whose start code follows the three bytes of its tag.
                if bytes[0] & 1 != 0 || bytes[3..6] != [0x9d, 0x01, 0x2a] {
                    return Err(Refused::Damaged);
                }
                self.data(size_of(le16(from(bytes, 6)).into(), le16(from(bytes, 8)).into()))?;
            }
            _ => {
                let packed = le32(from(bytes, 1));
                if bytes[0] != 0x2f || packed >> 29 != 0 {
                    return Err(Refused::Damaged);
                }
                let (width, height) = size_of(packed, packed >> 14);
                self.data((width + 1, height + 1))?;
            }
        }
        out.keep(&[&kind[..], &size.to_le_bytes(), bytes].concat());
        Ok(())
    }

    /// The bitstream's size, which is the canvas's where there is one.
    fn data(&mut self, (width, height): (u32, u32)) -> Result<(), Refused> {
        self.has_data = true;
        if !self.is_extended {
            return self.picture.set_size(width, height);
        }
        if (width, height) == (self.picture.width, self.picture.height) {
            Ok(())
        } else {
            Err(Refused::Damaged)
        }
    }

    /// The flags say what the copy has. The walk that reads cannot know the turn yet: it keeps them.
    fn extended(&mut self, bytes: &[u8], size: u32, out: &mut Out) -> Result<(), Refused> {
        if size != 10 {
            return Err(Refused::Damaged);
        }
        let mut copy = bytes.to_vec();
        copy[1..4].fill(0);
        copy[0] &= KEPT_FLAGS | EXIF_FLAG;
        if let Some(copied) = self.copied {
            copy[0] &= KEPT_FLAGS;
            if exif::block(copied.turn).is_some() {
                copy[0] |= EXIF_FLAG;
            }
        }
        out.keep(&[&b"VP8X"[..], &size.to_le_bytes()].concat());
        out.replace(bytes, &copy);
        Ok(())
    }

    fn exif(&mut self, block: &[u8], out: &mut Out) {
        self.has_exif = true;
        self.picture.turn = exif::turn(block).unwrap_or(Orientation::NoTransforms);
        match exif::block(self.picture.turn) {
            Some(ours) if ours == block && self.left == 0 => {
                self.is_turned = true;
                out.keep(&chunk_of(&ours));
            }
            _ => out.drop(),
        }
    }
}

impl Format for Webp {
    fn need(&self) -> Need {
        match self.state {
            State::Header => Need::Take(12),
            State::Chunk => Need::Take(8),
            State::Head(kind, size) => Need::Take(Self::head_bytes(kind, size)),
            State::Body(bytes, fate) => Need::Pass(bytes, fate),
            State::End => Need::Rest(Fate::Drop),
        }
    }

    fn take(&mut self, bytes: &[u8], out: &mut Out) -> Result<(), Refused> {
        match self.state {
            State::Header => self.header(bytes, out),
            State::Chunk => self.chunk(bytes, out),
            State::Head(kind, size) => self.head(kind, size, bytes, out),
            State::Body(..) | State::End => Err(Refused::Damaged),
        }
    }

    fn passed(&mut self, out: &mut Out) -> Result<(), Refused> {
        self.next(out)
    }

    fn may_end(&self) -> bool {
        self.state == State::End
    }
}

/// A chunk of EXIF. Its size is even.
fn chunk_of(block: &[u8; 26]) -> Vec<u8> {
    let size = 26_u32.to_le_bytes();
    [&b"EXIF"[..], &size, block].concat()
}
