//! One picture: decoded, made smaller, turned, and encoded as JPEG, which all apps show and which is the smallest for
//! photographs. Transparent parts become white, as paper is: JPEG has none.

use std::io::Cursor;

use image::{
    DynamicImage, ImageDecoder, ImageEncoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage,
    codecs::jpeg::JpegEncoder, imageops::FilterType,
};

use crate::mime::MAX_PIXELS;

/// The most bytes of a decoder: the pixels of a photograph need 150 MB.
const MAX_DECODER_BYTES: u64 = 256 * 1024 * 1024;
/// Of JPEG, 1 to 100.
const QUALITY: u8 = 82;
/// The largest colour profile that a smaller picture keeps, bytes: those of phones have some 500.
const MAX_PROFILE_BYTES: usize = 4096;

/// Bytes that are not decoded: of another format, damaged, or too large for the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotDecoded;

impl From<ImageError> for NotDecoded {
    fn from(_: ImageError) -> Self {
        Self
    }
}

/// A smaller JPEG whose longer side has at most `max` pixels; `None` where the picture is not larger.
pub(super) fn smaller(bytes: &[u8], max: u32) -> Result<Option<Vec<u8>>, NotDecoded> {
    let format = image::guess_format(bytes)?;
    if !matches!(format, ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP) {
        return Err(NotDecoded);
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(NotDecoded);
    }
    if width.max(height) <= max {
        return Ok(None);
    }
    let turn = decoder.orientation()?;
    let profile = decoder.icc_profile()?.filter(|profile| is_kept(profile));
    let mut picture = resized(DynamicImage::from_decoder(decoder)?, max);
    picture.apply_orientation(turn);
    let mut out = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut out, QUALITY);
    if let Some(profile) = profile {
        encoder.set_icc_profile(profile).map_err(|_| NotDecoded)?;
    }
    encoder.encode_image(&on_white(picture))?;
    Ok(Some(out))
}

/// Averages down to twice the size, which is fast, and filters from there, which looks better.
fn resized(picture: DynamicImage, max: u32) -> DynamicImage {
    let double = max.saturating_mul(2);
    let coarse = if picture.width().max(picture.height()) > double {
        picture.thumbnail(double, double)
    } else {
        picture
    };
    coarse.resize(max, max, FilterType::Triangle)
}

fn on_white(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let picture = picture.into_rgba8();
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [red, green, blue, alpha] = picture.get_pixel(x, y).0;
        let over = |part: u8| {
            let mixed = u32::from(part) * u32::from(alpha) + 255 * (255 - u32::from(alpha));
            u8::try_from(mixed / 255).unwrap_or(u8::MAX)
        };
        [over(red), over(green), over(blue)].into()
    })
}

/// Whether a profile is small, and of the colours that the smaller picture has.
fn is_kept(profile: &[u8]) -> bool {
    profile.len() <= MAX_PROFILE_BYTES && profile.get(16..20) == Some(b"RGB ")
}
