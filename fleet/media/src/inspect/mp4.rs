//! MP4: boxes. Its index (`moov`) says what tracks there are; their data passes unread.
//!
//! Cameras write where a film was made into boxes for users (`udta`, `meta`, `uuid`). Such a box is blanked in place, since
//! the index counts bytes from the beginning of the file. One that has no place stays: an encoder names itself there, and a
//! second copy of the whole film is not worth that.

use super::{
    Refused,
    walk::{Fate, Format, MAX_DURATION_MS, MAX_HELD, Need, Out, be32, from},
};

/// The largest first box, bytes: it lists brands.
const MAX_TYPE_BYTES: u32 = 4096;
/// Boxes within boxes.
const MAX_DEPTH: u32 = 4;
/// Boxes for users.
const OF_USERS: [&[u8; 4]; 3] = [b"udta", b"meta", b"uuid"];
/// Texts that stand beside a place in boxes for users: of QuickTime, 3GPP, Apple and others.
const PLACES: [&[u8]; 4] = [b"\xa9xyz", b"loci", b"location", b"GPS"];
/// A free box, which readers skip.
const FREE: &[u8; 4] = b"free";

/// The content of the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) duration_ms: u64,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) has_video: bool,
    pub(super) has_sound: bool,
}

/// A walk over MP4.
#[derive(Debug)]
pub(super) struct Mp4 {
    announced: &'static str,
    state: State,
    pub(super) index: Option<Index>,
    has_data: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first box.
    First,
    /// Before the size and kind of a box.
    Box,
    /// Before the long size of a box.
    Long([u8; 4]),
    /// In the index.
    Index(usize),
    /// In another box.
    Body(u64, Fate),
    /// In a box that ends with the file.
    Last(Fate),
}

impl Mp4 {
    /// A walk over what was announced as this type.
    pub(super) fn new(announced: &'static str) -> Self {
        Self {
            announced,
            state: State::First,
            index: None,
            has_data: false,
        }
    }

    /// Behind the head of a box, which has this many bytes after it; `None`: as many as there are.
    fn body(&mut self, kind: [u8; 4], body: Option<u64>, head: &[u8], out: &mut Out) -> Result<(), Refused> {
        let is_user = OF_USERS.contains(&&kind);
        match (&kind, body) {
            (b"moov", Some(body)) if self.index.is_none() => {
                let body = usize::try_from(body).ok().filter(|body| *body <= MAX_HELD);
                self.state = State::Index(body.ok_or(Refused::Parts)?);
                out.keep(head);
                return Ok(());
            }
            (b"moov", _) => return Err(Refused::Damaged),
            (b"mdat" | b"moof", _) => self.has_data = true,
            _ => {}
        }
        let fate = if is_user { Fate::Blank } else { Fate::Keep };
        if is_user {
            let mut blank = head.to_vec();
            blank[4..8].copy_from_slice(FREE);
            out.add(&blank);
        } else {
            out.keep(head);
        }
        self.state = match body {
            Some(body) => State::Body(body, fate),
            None => State::Last(fate),
        };
        Ok(())
    }
}

impl Format for Mp4 {
    fn need(&self) -> Need {
        match self.state {
            State::First | State::Box | State::Long(_) => Need::Take(8),
            State::Index(bytes) => Need::Take(bytes),
            State::Body(bytes, fate) => Need::Pass(bytes, fate),
            State::Last(fate) => Need::Rest(fate),
        }
    }

    fn take(&mut self, bytes: &[u8], out: &mut Out) -> Result<(), Refused> {
        match self.state {
            State::First => {
                let size = be32(bytes);
                if &bytes[4..] != b"ftyp" || !(8..=MAX_TYPE_BYTES).contains(&size) {
                    return Err(Refused::Type {
                        announced: self.announced,
                    });
                }
                out.keep(bytes);
                self.state = State::Body(u64::from(size) - 8, Fate::Keep);
                Ok(())
            }
            State::Box => {
                let kind: [u8; 4] = *bytes.last_chunk().ok_or(Refused::Damaged)?;
                match be32(bytes) {
                    0 => self.body(kind, None, bytes, out),
                    1 => {
                        self.state = State::Long(kind);
                        Ok(())
                    }
                    size => {
                        let body = u64::from(size).checked_sub(8).ok_or(Refused::Damaged)?;
                        self.body(kind, Some(body), bytes, out)
                    }
                }
            }
            State::Long(kind) => {
                let size = u64::from(be32(bytes)) << 32 | u64::from(be32(from(bytes, 4)));
                let body = size.checked_sub(16).ok_or(Refused::Damaged)?;
                let head = [&1_u32.to_be_bytes()[..], &kind, bytes].concat();
                self.body(kind, Some(body), &head, out)
            }
            State::Index(_) => {
                let mut copy = bytes.to_vec();
                let mut index = Index::default();
                read(&mut copy, 0, &mut index)?;
                out.replace(bytes, &copy);
                self.index = Some(index);
                self.state = State::Box;
                Ok(())
            }
            State::Body(..) | State::Last(_) => Err(Refused::Damaged),
        }
    }

    fn passed(&mut self, _out: &mut Out) -> Result<(), Refused> {
        self.state = State::Box;
        Ok(())
    }

    fn may_end(&self) -> bool {
        matches!(self.state, State::Box | State::Last(_)) && self.index.is_some() && self.has_data
    }
}

/// Reads the boxes of the index, and blanks those that name a place.
fn read(mut boxes: &mut [u8], depth: u32, index: &mut Index) -> Result<(), Refused> {
    if depth > MAX_DEPTH {
        return Err(Refused::Parts);
    }
    while !boxes.is_empty() {
        let size = be32(boxes) as usize;
        if size < 8 || size > boxes.len() {
            return Err(Refused::Damaged);
        }
        let (this, rest) = std::mem::take(&mut boxes).split_at_mut(size);
        boxes = rest;
        let (head, body) = this.split_at_mut(8);
        let kind: [u8; 4] = *head.last_chunk().ok_or(Refused::Damaged)?;
        match &kind {
            b"trak" | b"mdia" => read(body, depth + 1, index)?,
            b"mvhd" => index.duration_ms = duration_ms(body)?,
            b"tkhd" => index.read_track(body),
            b"hdlr" => match from(body, 8).first_chunk() {
                Some(b"vide") => index.has_video = true,
                Some(b"soun") => index.has_sound = true,
                _ => {}
            },
            kind if OF_USERS.contains(&kind) && names_a_place(body) => {
                head[4..].copy_from_slice(FREE);
                body.fill(0);
            }
            _ => {}
        }
    }
    Ok(())
}

fn names_a_place(body: &[u8]) -> bool {
    PLACES
        .iter()
        .any(|place| body.windows(place.len()).any(|text| text == *place))
}

/// The duration in the head of the index; 0 where it is unknown.
fn duration_ms(body: &[u8]) -> Result<u64, Refused> {
    let is_long = body.first() == Some(&1);
    let (scale, duration) = if is_long {
        let high = u64::from(be32(from(body, 24)));
        (be32(from(body, 20)), high << 32 | u64::from(be32(from(body, 28))))
    } else {
        (be32(from(body, 12)), be32(from(body, 16)).into())
    };
    let unknown = if is_long { u64::MAX } else { u32::MAX.into() };
    if duration == 0 || duration == unknown {
        return Ok(0);
    }
    let ms = u128::from(duration) * 1000;
    let ms = ms.checked_div(scale.into()).and_then(|ms| u64::try_from(ms).ok());
    ms.filter(|ms| *ms <= MAX_DURATION_MS).ok_or(Refused::Damaged)
}

impl Index {
    /// The size of the first track that is seen, as its matrix turns it.
    fn read_track(&mut self, body: &[u8]) {
        let matrix = from(body, if body.first() == Some(&1) { 52 } else { 40 });
        let pixels = |at| be32(from(matrix, at)) >> 16;
        let (width, height) = (pixels(36), pixels(40));
        if self.width > 0 || width == 0 || height == 0 {
            return;
        }
        let number = |at| be32(from(matrix, at));
        let is_turned = number(0) == 0 && number(16) == 0 && number(4) != 0;
        (self.width, self.height) = if is_turned {
            (height, width)
        } else {
            (width, height)
        };
    }
}
