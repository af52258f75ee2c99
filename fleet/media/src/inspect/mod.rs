//! Verifies that bytes are of their type, as they stream by. Nothing is decoded, and at most 4 MiB are held.

mod mp4;
mod picture;
mod refused;
mod sound;
mod walk;

use image::metadata::Orientation;

#[cfg(test)]
pub(crate) use self::picture::chunk_of;
pub use self::refused::Refused;
use self::{
    mp4::Mp4,
    picture::{Copied, Jpeg, Png, Webp},
    sound::{Adts, Amr, Ogg},
    walk::{Format, MAX_DURATION_MS, Out, Walk},
};
use crate::{medium::Finished, mime::MimeType};

/// The bytes that distinguish AAC in ADTS from AAC in MP4: an MP4 has its kind behind the size of its first box.
const HEAD_BYTES: usize = 8;

/// Reads a medium piece by piece.
#[derive(Debug)]
pub(crate) struct Inspector {
    mime: MimeType,
    format: Option<Kind>,
    walk: Walk,
    out: Out,
    /// The first bytes, until the format is known.
    head: Vec<u8>,
}

/// The properties of a medium, and how its clean copy is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inspected {
    pub(crate) finished: Finished,
    /// `None` where the medium is clean already.
    pub(crate) cleaning: Option<Cleaning>,
}

/// How a clean copy is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cleaning {
    Jpeg(Orientation),
    Png(Orientation),
    Webp(Copied),
    Mp4,
}

/// Writes the clean copy piece by piece.
#[derive(Debug)]
pub(crate) struct Cleaner {
    format: Kind,
    walk: Walk,
    out: Out,
}

#[derive(Debug)]
enum Kind {
    Jpeg(Jpeg),
    Png(Png),
    Webp(Webp),
    Adts(Adts),
    Amr(Amr),
    Ogg(Ogg),
    Mp4(Mp4),
}

impl Inspector {
    /// Reads what was announced as this type.
    pub(crate) fn new(mime: MimeType) -> Self {
        let format = match mime {
            MimeType::Jpeg => Some(Kind::Jpeg(Jpeg::new(None))),
            MimeType::Png => Some(Kind::Png(Png::new(None))),
            MimeType::Webp => Some(Kind::Webp(Webp::new(None))),
            MimeType::Amr => Some(Kind::Amr(Amr::default())),
            MimeType::Opus => Some(Kind::Ogg(Ogg::default())),
            MimeType::Mp4 => Some(Kind::Mp4(Mp4::new(mime.name()))),
            MimeType::Aac | MimeType::File => None,
        };
        Self {
            mime,
            format,
            walk: Walk::default(),
            out: Out::default(),
            head: Vec::new(),
        }
    }

    /// The next bytes.
    ///
    /// # Errors
    /// When they cannot belong to the announced type.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        if self.mime == MimeType::Aac && self.format.is_none() {
            self.head.extend_from_slice(bytes);
            if self.head.len() < HEAD_BYTES {
                return Ok(());
            }
            self.format = Some(if &self.head[4..HEAD_BYTES] == b"ftyp" {
                Kind::Mp4(Mp4::new(self.mime.name()))
            } else {
                Kind::Adts(Adts::default())
            });
            let head = std::mem::take(&mut self.head);
            return self.push(&head);
        }
        let Some(format) = &mut self.format else {
            return Ok(());
        };
        self.walk.push(format.format(), bytes, &mut self.out)
    }

    /// The end of all bytes.
    ///
    /// # Errors
    /// When they are cut off, or are not of the announced type.
    pub(crate) fn end(mut self) -> Result<Inspected, Refused> {
        let clean = |finished| Inspected {
            finished,
            cleaning: None,
        };
        let Some(mut format) = self.format.take() else {
            if self.mime == MimeType::File {
                return Ok(clean(Finished::default()));
            }
            return Err(Refused::Damaged);
        };
        self.walk.end(format.format())?;
        let heard = |duration_ms| {
            if duration_ms > MAX_DURATION_MS {
                return Err(Refused::Damaged);
            }
            Ok(clean(Finished {
                duration_ms,
                ..Finished::default()
            }))
        };
        let (picture, cleaning) = match format {
            Kind::Amr(amr) => return heard(amr.duration_ms()),
            Kind::Adts(adts) => return heard(adts.duration_ms()),
            Kind::Ogg(ogg) => return heard(ogg.duration_ms()),
            Kind::Mp4(mp4) => return self.film(&mp4),
            Kind::Jpeg(jpeg) => (jpeg.picture, Cleaning::Jpeg(jpeg.picture.turn)),
            Kind::Png(png) => (png.picture, Cleaning::Png(png.picture.turn)),
            Kind::Webp(webp) => (webp.picture, Cleaning::Webp(webp.copied(self.out.bytes))),
        };
        let (width, height) = picture.shown();
        Ok(Inspected {
            finished: Finished {
                width,
                height,
                duration_ms: 0,
            },
            cleaning: self.out.differs.then_some(cleaning),
        })
    }

    /// A video has a picture; a recording has sound and none.
    fn film(&self, mp4: &Mp4) -> Result<Inspected, Refused> {
        let index = mp4.index.unwrap_or_default();
        let is_film = self.mime == MimeType::Mp4;
        let is_right = if is_film {
            index.has_video
        } else {
            index.has_sound && !index.has_video
        };
        if !is_right {
            return Err(Refused::Type {
                announced: self.mime.name(),
            });
        }
        let (width, height) = if is_film {
            (index.width, index.height)
        } else {
            (0, 0)
        };
        Ok(Inspected {
            finished: Finished {
                width,
                height,
                duration_ms: index.duration_ms,
            },
            cleaning: self.out.differs.then_some(Cleaning::Mp4),
        })
    }
}

impl Cleaner {
    /// Writes the copy of what an inspection found.
    pub(crate) fn new(cleaning: Cleaning) -> Self {
        let format = match cleaning {
            Cleaning::Jpeg(turn) => Kind::Jpeg(Jpeg::new(Some(turn))),
            Cleaning::Png(turn) => Kind::Png(Png::new(Some(turn))),
            Cleaning::Webp(copied) => Kind::Webp(Webp::new(Some(copied))),
            Cleaning::Mp4 => Kind::Mp4(Mp4::new(MimeType::Mp4.name())),
        };
        Self {
            format,
            walk: Walk::default(),
            out: Out {
                copy: Some(Vec::new()),
                ..Out::default()
            },
        }
    }

    /// The bytes of the copy that these bytes of the original lead to.
    ///
    /// # Errors
    /// Those of the inspection, which has been done.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Refused> {
        self.walk.push(self.format.format(), bytes, &mut self.out)?;
        Ok(self.out.copy.replace(Vec::new()).unwrap_or_default())
    }
}

impl Kind {
    fn format(&mut self) -> &mut dyn Format {
        match self {
            Self::Jpeg(jpeg) => jpeg,
            Self::Png(png) => png,
            Self::Webp(webp) => webp,
            Self::Adts(adts) => adts,
            Self::Amr(amr) => amr,
            Self::Ogg(ogg) => ogg,
            Self::Mp4(mp4) => mp4,
        }
    }
}
