//! JPEG: segments up to the first scan, then scans with segments between them, up to the end of the image.

use image::metadata::Orientation;

use super::{
    super::{
        Refused,
        walk::{Fate, Format, Need, Out, be16, from},
    },
    Picture, exif,
};

/// The most scans of a progressive picture. Encoders write some ten; each costs a pass over all pixels.
const MAX_SCANS: u32 = 100;

/// A walk over a JPEG.
#[derive(Debug)]
pub(in super::super) struct Jpeg {
    pub(in super::super) picture: Picture,
    state: State,
    scans: u32,
    /// Whether EXIF was there.
    has_exif: bool,
    /// The turn that the copy must have, until it is written.
    unwritten: Option<Orientation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    /// Before a marker.
    Marker,
    /// Behind an FF that may be the first byte of a marker.
    Code,
    /// Before the length of a segment.
    Length(u8),
    /// In a segment of this length, the two bytes of the length apart.
    Segment(u8, usize),
    /// In the data of a scan.
    Scan,
    /// In the data of a scan, behind an FF.
    ScanCode,
    /// Behind the end of the image.
    End,
}

impl Jpeg {
    /// A walk that reads, or one that writes a copy with this turn.
    pub(in super::super) fn new(turn: Option<Orientation>) -> Self {
        Self {
            picture: Picture::default(),
            state: State::Start,
            scans: 0,
            has_exif: turn.is_some(),
            unwritten: turn,
        }
    }

    fn marker(&mut self, code: u8, out: &mut Out) -> Result<(), Refused> {
        self.state = match code {
            // End of image.
            0xd9 if self.scans > 0 => {
                out.keep(&[0xff, code]);
                State::End
            }
            // Tables, frames, scans, applications and comments: all have a length.
            0xc0..=0xc2 | 0xc4 | 0xda | 0xdb | 0xdd | 0xe0..=0xef | 0xfe => State::Length(code),
            // Frames that browsers do not show: lossless, hierarchical, arithmetic.
            0xc3 | 0xc5..=0xcf => {
                return Err(Refused::Type {
                    announced: "image/jpeg",
                });
            }
            _ => return Err(Refused::Damaged),
        };
        Ok(())
    }

    fn segment(&mut self, code: u8, body: &[u8], out: &mut Out) -> Result<(), Refused> {
        // JFIF comes first, ours next.
        if code != 0xe0
            && let Some(block) = self.unwritten.take().and_then(exif::block)
        {
            out.add(&segment(0xe1, &[exif::MARK, &block].concat()));
        }
        self.state = State::Marker;
        match code {
            0xc0..=0xc2 => {
                if body.len() < 6 || body[0] != 8 {
                    return Err(Refused::Damaged);
                }
                let (height, width) = (be16(from(body, 1)), be16(from(body, 3)));
                self.picture.set_size(width.into(), height.into())?;
            }
            0xda => {
                self.scans += 1;
                if !self.picture.has_size() {
                    return Err(Refused::Damaged);
                }
                if self.scans > MAX_SCANS {
                    return Err(Refused::Parts);
                }
                self.state = State::Scan;
            }
            // The thumbnail may show what was cut off since.
            0xe0 if body.starts_with(b"JFIF\0") && body.len() >= 14 && body[12..] != [0, 0] => {
                out.add(&segment(code, &[&body[..12], &[0, 0]].concat()));
                return Ok(());
            }
            0xe0 if body.starts_with(b"JFIF\0") => {}
            0xe1 if self.is_ours(body) => {}
            // Colour: its profile, and how Adobe's components are read.
            0xe2 if body.starts_with(b"ICC_PROFILE\0") => {}
            0xee if body.starts_with(b"Adobe") && body.len() == 12 => {}
            0xe0..=0xef | 0xfe => {
                out.drop();
                return Ok(());
            }
            _ => {}
        }
        out.keep(&segment(code, body));
        Ok(())
    }

    /// Whether a segment is the first EXIF, and such as we write it. Reads its turn.
    fn is_ours(&mut self, body: &[u8]) -> bool {
        if self.has_exif || !body.starts_with(exif::MARK) {
            return false;
        }
        self.has_exif = true;
        self.picture.turn = exif::turn(body).unwrap_or(Orientation::NoTransforms);
        exif::block(self.picture.turn).is_some_and(|ours| body[exif::MARK.len()..] == ours)
    }
}

impl Format for Jpeg {
    fn need(&self) -> Need {
        match self.state {
            State::Start | State::Length(_) => Need::Take(2),
            State::Marker | State::Code => Need::Take(1),
            State::Segment(_, length) => Need::Take(length),
            State::Scan | State::ScanCode => Need::Scan,
            State::End => Need::Rest(Fate::Drop),
        }
    }

    fn take(&mut self, bytes: &[u8], out: &mut Out) -> Result<(), Refused> {
        match self.state {
            State::Start if bytes == [0xff, 0xd8] => {
                out.keep(bytes);
                self.state = State::Marker;
            }
            State::Start => {
                return Err(Refused::Type {
                    announced: "image/jpeg",
                });
            }
            State::Marker if bytes == [0xff] => self.state = State::Code,
            // Fill bytes may stand before a code.
            State::Code if bytes == [0xff] => out.drop(),
            State::Code => self.marker(bytes[0], out)?,
            State::Length(code) => {
                let length = usize::from(be16(bytes)).checked_sub(2).ok_or(Refused::Damaged)?;
                self.state = State::Segment(code, length);
            }
            State::Segment(code, _) => self.segment(code, bytes, out)?,
            State::Marker | State::Scan | State::ScanCode | State::End => return Err(Refused::Damaged),
        }
        Ok(())
    }

    fn scan(&mut self, bytes: &[u8], out: &mut Out) -> Result<usize, Refused> {
        if self.state == State::ScanCode {
            match bytes[0] {
                // A stuffed FF, or a restart within the scan.
                0x00 | 0xd0..=0xd7 => {
                    out.keep(&[0xff, bytes[0]]);
                    self.state = State::Scan;
                }
                0xff => out.drop(),
                code => self.marker(code, out)?,
            }
            return Ok(1);
        }
        let end = bytes.iter().position(|byte| *byte == 0xff);
        out.keep(&bytes[..end.unwrap_or(bytes.len())]);
        match end {
            Some(end) => {
                self.state = State::ScanCode;
                Ok(end + 1)
            }
            None => Ok(bytes.len()),
        }
    }

    fn may_end(&self) -> bool {
        self.state == State::End
    }
}

/// The bytes of a segment. Its body came with a length of two bytes.
fn segment(code: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).unwrap_or(u16::MAX);
    [&[0xff, code], &length.to_be_bytes()[..], body].concat()
}
