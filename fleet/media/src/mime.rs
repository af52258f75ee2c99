//! The MIME types of media, and how large each may be.

const MIB: u64 = 1024 * 1024;
/// The largest picture, bytes.
pub const MAX_PICTURE_BYTES: u64 = 20 * MIB;
/// The largest recording, video or file, bytes.
pub const MAX_OTHER_BYTES: u64 = 100 * MIB;

/// The most pixels of a picture.
pub const MAX_PIXELS: u64 = 50_000_000;

/// A MIME type that a medium may have: those of messages with a uri.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MimeType {
    /// `image/jpeg`.
    Jpeg,
    /// `image/png`.
    Png,
    /// `image/webp`.
    Webp,
    /// `audio/aac`: ADTS, or AAC in MP4 (.m4a), as phones record it.
    Aac,
    /// `audio/amr`: narrow band or wide band.
    Amr,
    /// `audio/opus`: Opus in Ogg.
    Opus,
    /// `video/mp4`.
    Mp4,
    /// `application/octet-stream`: any bytes.
    File,
}

/// How a medium is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// A picture.
    Picture,
    /// A voice message.
    Audio,
    /// A video.
    Video,
    /// A file, never shown in place.
    File,
}

impl MimeType {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Jpeg,
        Self::Png,
        Self::Webp,
        Self::Aac,
        Self::Amr,
        Self::Opus,
        Self::Mp4,
        Self::File,
    ];

    /// The type of this exact name; `None` for all others, GIF among them.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mime| mime.name() == name)
    }

    /// The name, as on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Aac => "audio/aac",
            Self::Amr => "audio/amr",
            Self::Opus => "audio/opus",
            Self::Mp4 => "video/mp4",
            Self::File => "application/octet-stream",
        }
    }

    /// How it is shown.
    pub fn class(self) -> Class {
        match self {
            Self::Jpeg | Self::Png | Self::Webp => Class::Picture,
            Self::Aac | Self::Amr | Self::Opus => Class::Audio,
            Self::Mp4 => Class::Video,
            Self::File => Class::File,
        }
    }

    /// The largest medium of this type, bytes.
    pub fn max_bytes(self) -> u64 {
        match self.class() {
            Class::Picture => MAX_PICTURE_BYTES,
            Class::Audio | Class::Video | Class::File => MAX_OTHER_BYTES,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_names_are_known() {
        for mime in MimeType::ALL {
            assert_eq!(MimeType::parse(mime.name()), Some(mime));
        }
        for other in [
            "image/gif",
            "image/svg+xml",
            "IMAGE/JPEG",
            "image/jpeg; q=1",
            "text/html",
            "",
        ] {
            assert_eq!(MimeType::parse(other), None, "{other}");
        }
    }
}
