//! Pictures: their size in pixels, and their metadata.
//!
//! The clean copy has no EXIF, XMP, IPTC, comment or thumbnail of other software, and nothing behind the end of the picture,
//! where phones put films and attackers other formats. It keeps colour profiles, and the turn: as the only field of an EXIF
//! of ours, since turning the pixels would encode them anew.

mod exif;
mod jpeg;
mod png;
mod webp;

use image::metadata::Orientation;

#[cfg(test)]
pub(crate) use self::png::chunk_of;
pub(crate) use self::webp::Copied;
pub(super) use self::{jpeg::Jpeg, png::Png, webp::Webp};
use super::Refused;
use crate::mime::MAX_PIXELS;

/// The properties in a picture's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    width: u32,
    height: u32,
    pub(super) turn: Orientation,
}

impl Default for Picture {
    fn default() -> Self {
        Self {
            width: 0,
            height: 0,
            turn: Orientation::NoTransforms,
        }
    }
}

impl Picture {
    /// Sets the size, as stored.
    fn set_size(&mut self, width: u32, height: u32) -> Result<(), Refused> {
        if width == 0 || height == 0 || self.has_size() {
            return Err(Refused::Damaged);
        }
        if u64::from(width) * u64::from(height) > MAX_PIXELS {
            return Err(Refused::Pixels {
                width,
                height,
                max: MAX_PIXELS,
            });
        }
        (self.width, self.height) = (width, height);
        Ok(())
    }

    fn has_size(&self) -> bool {
        self.width > 0
    }

    /// Width and height as the picture is shown.
    pub(super) fn shown(&self) -> (u32, u32) {
        match self.turn {
            Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH => (self.height, self.width),
            _ => (self.width, self.height),
        }
    }
}
