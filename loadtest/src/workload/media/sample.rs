//! The bytes that are put: pictures and files, each another one, and each can be made again by its number. Pure.

use std::ops::Range;

use anyhow::{Context, Result, ensure};
use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};
use sha2::{Digest as _, Sha256};

use crate::generator::schedule::Chance;

/// Of four numbers one is a file.
const FILE_EVERY: u64 = 4;
/// That of phones.
const QUALITY: u8 = 85;
/// The length of the table of a JPEG behind its marker, and the coefficients in it.
const TABLE_HEAD: usize = 2 + 2 + 1;
const COEFFICIENTS: usize = 64;
/// The last coefficients of the table make a picture unlike all others; none may be 0.
const MARKED: usize = 4;
const DIGITS: u64 = 255;

/// SHA-256.
pub(super) type Digest = [u8; 32];

/// The kinds of media that are put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Picture,
    File,
}

impl Kind {
    pub(super) const fn of(number: u64) -> Self {
        if number % FILE_EVERY == FILE_EVERY - 1 {
            Self::File
        } else {
            Self::Picture
        }
    }

    /// The MIME type, of the upload and of the message.
    pub(super) const fn mime(self) -> &'static str {
        match self {
            Self::Picture => "image/jpeg",
            Self::File => "application/octet-stream",
        }
    }
}

/// A picture and a file that all others are made of.
#[derive(Debug)]
pub(super) struct Sample {
    picture: Vec<u8>,
    /// Where the picture is marked.
    mark: Range<usize>,
    file: Vec<u8>,
}

impl Sample {
    /// A picture this wide, and a file this long.
    pub(super) fn new(pixels: u32, file_bytes: usize, seed: u64) -> Result<Self> {
        let mut dice = Chance::new(seed);
        let picture = RgbImage::from_fn(pixels, pixels * 3 / 4, |x, y| {
            let grain = dice.below(24) as u32;
            let shade = |at: u32, of: u32| (at * 200 / of + grain).min(255) as u8;
            Rgb([shade(x, pixels), shade(y, pixels), shade(x + y, 2 * pixels)])
        });
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(&picture)?;
        let table = bytes
            .windows(2)
            .position(|marker| marker == [0xff, 0xdb])
            .context("the picture has no table")?;
        let end = table + TABLE_HEAD + COEFFICIENTS;
        Ok(Self {
            picture: bytes,
            mark: end - MARKED..end,
            file: (0..file_bytes).map(|_| dice.below(256) as u8).collect(),
        })
    }

    /// The medium of this number.
    pub(super) fn numbered(&self, number: u64) -> Vec<u8> {
        match Kind::of(number) {
            Kind::Picture => {
                let mut bytes = self.picture.clone();
                let mut rest = number;
                for digit in &mut bytes[self.mark.clone()] {
                    *digit = 1 + (rest % DIGITS) as u8;
                    rest /= DIGITS;
                }
                bytes
            }
            Kind::File => {
                let mut bytes = self.file.clone();
                bytes
                    .iter_mut()
                    .zip(number.to_le_bytes())
                    .for_each(|(byte, mark)| *byte ^= mark);
                bytes
            }
        }
    }

    /// How long they are.
    pub(super) fn bytes(&self, kind: Kind) -> usize {
        match kind {
            Kind::Picture => self.picture.len(),
            Kind::File => self.file.len(),
        }
    }
}

pub(super) fn digest(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

/// Compares what came with what was put.
///
/// # Errors
/// When a byte differs, or one is missing.
pub(super) fn compare(got: &[u8], wanted: &Digest) -> Result<()> {
    let sha256 = digest(got);
    ensure!(
        sha256 == *wanted,
        "{} bytes with SHA-256 {} came instead of {}",
        got.len(),
        hex(&sha256),
        hex(wanted)
    );
    Ok(())
}

pub(super) fn hex(digest: &Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::io::Cursor;

    use image::ImageReader;

    use super::*;

    #[test]
    fn each_number_is_another_medium_that_can_be_made_again() {
        let sample = Sample::new(400, 2000, 7).unwrap();
        let mut seen = HashSet::new();
        for number in (0..600).chain([255 * 255, 255 * 255 * 255 + 1]) {
            let bytes = sample.numbered(number);
            assert_eq!(bytes.len(), sample.bytes(Kind::of(number)));
            assert!(seen.insert(digest(&bytes)), "{number}");
            assert_eq!(bytes, sample.numbered(number));
        }
    }

    #[test]
    fn a_marked_picture_is_still_one() {
        let sample = Sample::new(400, 1, 7).unwrap();
        let reader = ImageReader::new(Cursor::new(sample.numbered(70_000)));
        let picture = reader.with_guessed_format().unwrap().decode().unwrap();
        assert_eq!((picture.width(), picture.height()), (400, 300));
    }

    #[test]
    fn one_byte_that_differs_is_told() {
        let put = Sample::new(400, 2000, 7).unwrap().numbered(3);
        let wanted = digest(&put);
        assert!(compare(&put, &wanted).is_ok());
        let mut other = put.clone();
        other[1999] ^= 1;
        for got in [&other[..], &put[1..], &[]] {
            let error = compare(got, &wanted).unwrap_err().to_string();
            assert!(error.contains(&hex(&wanted)), "{error}");
        }
    }

    #[test]
    fn a_digest_is_written_as_the_service_reads_it() {
        let text = hex(&digest(b"abc"));
        assert!(text.starts_with("ba7816bf") && text.len() == 64, "{text}");
    }
}
