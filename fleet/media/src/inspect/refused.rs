//! Why bytes are refused.

/// Why an upload is not what was announced. Each is a sentence for its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Another size than announced.
    #[error("the upload has {received} bytes, not the announced {announced}")]
    Size {
        /// Bytes that came.
        received: u64,
        /// Bytes that were announced.
        announced: u64,
    },
    /// Another SHA-256 than announced.
    #[error("the SHA-256 of the upload is not the announced one")]
    Sha256,
    /// The bytes are not of the announced type.
    #[error("the bytes are not {announced}")]
    Type {
        /// The name of the announced type.
        announced: &'static str,
    },
    /// The bytes end too early, or their headers contradict each other.
    #[error("the bytes are damaged or cut off")]
    Damaged,
    /// Too many pixels.
    #[error("the picture has {width} × {height} pixels, more than {max} of them")]
    Pixels {
        /// Width, pixels.
        width: u32,
        /// Height, pixels.
        height: u32,
        /// The most pixels.
        max: u64,
    },
    /// Several frames.
    #[error("the picture moves: send a still one, or a video")]
    Moves,
    /// More parts than any camera or app writes, so that decoding would take long.
    #[error("the bytes have more parts than such a medium needs")]
    Parts,
}
