//! PNG: chunks of a known kind are kept, all others dropped.

use image::metadata::Orientation;

use super::{
    super::{
        Refused,
        walk::{Fate, Format, Need, Out, be32},
    },
    Picture, exif,
};

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Pixels, colours and their profile.
const KEPT: [&[u8; 4]; 14] = [
    b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"mDCV",
    b"cLLI", b"bKGD", b"pHYs",
];
/// The largest EXIF that is read, bytes.
const MAX_EXIF_BYTES: u32 = 64 * 1024;

/// A walk over a PNG.
#[derive(Debug)]
pub(in super::super) struct Png {
    pub(in super::super) picture: Picture,
    state: State,
    has_data: bool,
    has_exif: bool,
    /// The turn that the copy must have, until it is written.
    unwritten: Option<Orientation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Signature,
    Header,
    /// Before the length and kind of a chunk.
    Chunk,
    /// In the body and checksum of an EXIF chunk.
    Exif(u32),
    /// In the body and checksum of another one.
    Body {
        bytes: u64,
        fate: Fate,
        is_last: bool,
    },
    End,
}

impl Png {
    /// A walk that reads, or one that writes a copy with this turn.
    pub(in super::super) fn new(turn: Option<Orientation>) -> Self {
        Self {
            picture: Picture::default(),
            state: State::Signature,
            has_data: false,
            has_exif: turn.is_some(),
            unwritten: turn,
        }
    }

    /// The header is the first chunk, with its length, kind and checksum.
    fn header(&mut self, chunk: &[u8], out: &mut Out) -> Result<(), Refused> {
        let [0, 0, 0, 13, b'I', b'H', b'D', b'R', body @ ..] = chunk else {
            return Err(Refused::Damaged);
        };
        let is_colour = matches!(
            (body[9], body[8]),
            (0, 1 | 2 | 4 | 8 | 16) | (3, 1 | 2 | 4 | 8) | (2 | 4 | 6, 8 | 16)
        );
        if !is_colour || body[10] != 0 || body[11] != 0 || body[12] > 1 {
            return Err(Refused::Damaged);
        }
        self.picture.set_size(be32(body), be32(&body[4..]))?;
        out.keep(chunk);
        if let Some(block) = self.unwritten.take().and_then(exif::block) {
            out.add(&chunk_of(*b"eXIf", &block));
        }
        self.state = State::Chunk;
        Ok(())
    }

    fn chunk(&mut self, head: &[u8], out: &mut Out) -> Result<(), Refused> {
        let length = be32(head);
        let kind: &[u8; 4] = head.last_chunk().ok_or(Refused::Damaged)?;
        if length > i32::MAX as u32 {
            return Err(Refused::Damaged);
        }
        match kind {
            b"acTL" | b"fcTL" | b"fdAT" => return Err(Refused::Moves),
            b"eXIf" if !self.has_exif && length <= MAX_EXIF_BYTES => {
                self.has_exif = true;
                self.state = State::Exif(length);
                return Ok(());
            }
            b"IDAT" => self.has_data = true,
            b"IEND" if length > 0 || !self.has_data => return Err(Refused::Damaged),
            // The kind of a chunk that a reader must know begins with a capital letter.
            other if other[0].is_ascii_uppercase() && !KEPT.contains(&other) => return Err(Refused::Damaged),
            _ => {}
        }
        let fate = if KEPT.contains(&kind) {
            out.keep(head);
            Fate::Keep
        } else {
            out.drop();
            Fate::Drop
        };
        self.state = State::Body {
            bytes: u64::from(length) + 4,
            fate,
            is_last: kind == b"IEND",
        };
        Ok(())
    }

    fn exif(&mut self, body: &[u8], out: &mut Out) {
        let (block, _checksum) = body.split_at(body.len().saturating_sub(4));
        self.picture.turn = exif::turn(block).unwrap_or(Orientation::NoTransforms);
        self.state = State::Chunk;
        match exif::block(self.picture.turn) {
            Some(ours) if ours == block => out.keep(&chunk_of(*b"eXIf", &ours)),
            _ => out.drop(),
        }
    }
}

impl Format for Png {
    fn need(&self) -> Need {
        match self.state {
            State::Signature | State::Chunk => Need::Take(8),
            // Length, kind, 13 bytes, checksum.
            State::Header => Need::Take(25),
            State::Exif(length) => Need::Take(length as usize + 4),
            State::Body { bytes, fate, .. } => Need::Pass(bytes, fate),
            State::End => Need::Rest(Fate::Drop),
        }
    }

    fn take(&mut self, bytes: &[u8], out: &mut Out) -> Result<(), Refused> {
        match self.state {
            State::Signature if bytes == SIGNATURE => {
                out.keep(bytes);
                self.state = State::Header;
                Ok(())
            }
            State::Signature => Err(Refused::Type {
                announced: "image/png",
            }),
            State::Header => self.header(bytes, out),
            State::Chunk => self.chunk(bytes, out),
            State::Exif(_) => {
                self.exif(bytes, out);
                Ok(())
            }
            State::Body { .. } | State::End => Err(Refused::Damaged),
        }
    }

    fn passed(&mut self, _out: &mut Out) -> Result<(), Refused> {
        self.state = match self.state {
            State::Body { is_last: true, .. } => State::End,
            _ => State::Chunk,
        };
        Ok(())
    }

    fn may_end(&self) -> bool {
        self.state == State::End
    }
}

/// A chunk with its checksum.
pub(crate) fn chunk_of(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(0);
    let checked = [&kind, body].concat();
    [
        &length.to_be_bytes(),
        &checked[..],
        &crc32(&checked).to_be_bytes(),
    ]
    .concat()
}

/// The checksum of PNG, for the few bytes that we write.
fn crc32(bytes: &[u8]) -> u32 {
    let rounds = bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    });
    !rounds
}

#[cfg(test)]
mod tests {
    use super::*;

    // The checksum of IEND stands in every PNG.
    #[test]
    fn the_checksum_is_that_of_png() {
        assert_eq!(chunk_of(*b"IEND", b""), b"\0\0\0\0IEND\xae\x42\x60\x82");
    }
}
