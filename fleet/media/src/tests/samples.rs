//! Media made by code, as phones and attackers make them.

use image::{
    ExtendedColorType, ImageEncoder, Rgb, RgbImage, Rgba, RgbaImage,
    codecs::{jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder},
};

/// A text that no clean copy may have.
pub(crate) const SECRET: &[u8] = b"31.2304N 121.4737E";
/// Formats that attackers append: a page, and the beginning of a ZIP.
pub(crate) const TRAILER: &[u8] = b"<script>alert(1)</script>PK\x03\x04";

/// A colourful picture: no two corners are the same.
fn pixels(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let part = |at: u32, of: u32| u8::try_from(at * 255 / of.max(1)).unwrap();
        Rgb([part(x, width), part(y, height), 128])
    })
}

pub(crate) fn jpeg(width: u32, height: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let picture = pixels(width, height);
    JpegEncoder::new_with_quality(&mut out, 90)
        .encode_image(&picture)
        .unwrap();
    out
}

/// A JPEG with segments behind its JFIF head.
pub(crate) fn jpeg_with(jpeg: &[u8], segments: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let head = 4 + usize::from(u16::from_be_bytes([jpeg[4], jpeg[5]])) - 2;
    let (head, rest) = jpeg.split_at(head + 2);
    let mut out = head.to_vec();
    for (code, body) in segments {
        let length = u16::try_from(body.len() + 2).unwrap();
        out.extend([0xff, *code]);
        out.extend(length.to_be_bytes());
        out.extend(body);
    }
    out.extend(rest);
    out
}

/// A TIFF block with this orientation, and a place behind it.
pub(crate) fn tiff(orientation: u8) -> Vec<u8> {
    let mut block = b"II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    block[18] = orientation;
    block.extend(SECRET);
    block
}

/// As a phone writes it: EXIF with a place, XMP, IPTC, a comment, a film behind the picture.
pub(crate) fn photo(width: u32, height: u32, orientation: u8) -> Vec<u8> {
    let mark = b"Exif\0\0";
    let mut photo = jpeg_with(
        &jpeg(width, height),
        &[
            (0xe1, [&mark[..], &tiff(orientation)].concat()),
            (0xe1, [b"http://ns.adobe.com/xap/1.0/\0", SECRET].concat()),
            (0xed, [b"Photoshop 3.0\0", SECRET].concat()),
            (0xfe, SECRET.to_vec()),
        ],
    );
    photo.extend(TRAILER);
    photo
}

pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
    let mut out = Vec::new();
    PngEncoder::new(&mut out)
        .write_image(&pixels(width, height), width, height, ExtendedColorType::Rgb8)
        .unwrap();
    out
}

/// Transparent everywhere.
pub(crate) fn clear_png(width: u32, height: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let picture = RgbaImage::from_pixel(width, height, Rgba([10, 20, 30, 0]));
    PngEncoder::new(&mut out)
        .write_image(&picture, width, height, ExtendedColorType::Rgba8)
        .unwrap();
    out
}

/// A PNG with chunks behind its header.
pub(crate) fn png_with(png: &[u8], chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let (head, rest) = png.split_at(33);
    let mut out = head.to_vec();
    for (kind, body) in chunks {
        out.extend(crate::inspect::chunk_of(**kind, body));
    }
    out.extend(rest);
    out
}

/// A PNG with a place in each way that it may have one.
pub(crate) fn png_photo(width: u32, height: u32, orientation: u8) -> Vec<u8> {
    let mut photo = png_with(
        &png(width, height),
        &[
            (b"eXIf", tiff(orientation)),
            (b"tEXt", [b"Comment\0", SECRET].concat()),
            (b"iTXt", [b"XML:com.adobe.xmp\0\0\0\0\0", SECRET].concat()),
            (b"prVt", SECRET.to_vec()),
        ],
    );
    photo.extend(TRAILER);
    photo
}

/// 30,000 × 30,000 pixels in some 20 KB.
pub(crate) fn bomb() -> Vec<u8> {
    let small = png(1, 1);
    let mut header = small[16..29].to_vec();
    header[..8].copy_from_slice(&[0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]);
    let mut out = small[..8].to_vec();
    out.extend(crate::inspect::chunk_of(*b"IHDR", &header));
    out.extend(crate::inspect::chunk_of(*b"IDAT", &[0; 20_000]));
    out.extend(crate::inspect::chunk_of(*b"IEND", b""));
    out
}

pub(crate) fn webp(width: u32, height: u32) -> Vec<u8> {
    let mut out = Vec::new();
    WebPEncoder::new_lossless(&mut out)
        .encode(&pixels(width, height), width, height, ExtendedColorType::Rgb8)
        .unwrap();
    out
}

fn riff(chunks: &[u8]) -> Vec<u8> {
    let size = u32::try_from(chunks.len() + 4).unwrap();
    [b"RIFF", &size.to_le_bytes()[..], b"WEBP", chunks].concat()
}

fn webp_chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len()).unwrap();
    let mut chunk = [kind, &size.to_le_bytes()[..], body].concat();
    chunk.resize(chunk.len() + body.len() % 2, 0);
    chunk
}

/// An extended WebP with these flags and chunks behind its bitstream.
pub(crate) fn webp_with(width: u32, height: u32, flags: u8, chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut canvas = vec![flags, 0, 0, 0];
    canvas.extend(&(width - 1).to_le_bytes()[..3]);
    canvas.extend(&(height - 1).to_le_bytes()[..3]);
    let mut all = webp_chunk(b"VP8X", &canvas);
    all.extend(&webp(width, height)[12..]);
    for (kind, body) in chunks {
        all.extend(webp_chunk(kind, body));
    }
    riff(&all)
}

pub(crate) fn webp_photo(width: u32, height: u32, orientation: u8) -> Vec<u8> {
    let chunks = [
        (b"EXIF", tiff(orientation)),
        (b"XMP ", SECRET.to_vec()),
        (b"prvt", SECRET.to_vec()),
    ];
    let mut photo = webp_with(width, height, 0x0c, &chunks);
    photo.extend(TRAILER);
    photo
}

/// A narrow-band recording of frames of 20 ms.
pub(crate) fn amr(frames: usize) -> Vec<u8> {
    let mut out = b"#!AMR\n".to_vec();
    for _ in 0..frames {
        // 12.2 kbit/s
        out.push(0x3c);
        out.extend([0xa5; 31]);
    }
    out
}

/// A wide-band recording.
pub(crate) fn amr_wide(frames: usize) -> Vec<u8> {
    let mut out = b"#!AMR-WB\n".to_vec();
    for _ in 0..frames {
        out.push(0x44);
        out.extend([0xa5; 60]);
    }
    out
}

/// Frames of 1024 samples at 16 kHz: 64 ms.
pub(crate) fn adts(frames: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..frames {
        out.extend([0xff, 0xf1, 0x60, 0x40, 0x02, 0x7f, 0xfc]);
        out.extend([0x21; 12]);
    }
    out
}

/// An Ogg of Opus with this many pages of a second.
pub(crate) fn opus(seconds: u64) -> Vec<u8> {
    let page = |flags: u8, time: u64, number: u32, body: &[u8]| {
        let mut page = b"OggS\0".to_vec();
        page.push(flags);
        page.extend(time.to_le_bytes());
        page.extend(7_u32.to_le_bytes());
        page.extend(number.to_le_bytes());
        page.extend([0; 4]);
        page.push(1);
        page.push(u8::try_from(body.len()).unwrap());
        page.extend(body);
        page
    };
    let head = b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0";
    let mut out = page(2, 0, 0, head);
    out.extend(page(0, 0, 1, b"OpusTags\0\0\0\0\0\0\0\0"));
    for second in 1..=seconds {
        let flags = if second == seconds { 4 } else { 0 };
        let number = u32::try_from(second + 1).unwrap();
        out.extend(page(flags, second * 48_000 + 312, number, &[0x5a; 200]));
    }
    out
}

pub(crate) fn mp4_box(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 8).unwrap();
    [&size.to_be_bytes()[..], kind, body].concat()
}

fn track(handler: &[u8; 4], width: u16, height: u16, is_turned: bool) -> Vec<u8> {
    let mut head = vec![0; 84];
    let one = [0, 1, 0, 0];
    if is_turned {
        head[44..48].copy_from_slice(&one);
        head[52..56].copy_from_slice(&[0xff, 0xff, 0, 0]);
    } else {
        head[40..44].copy_from_slice(&one);
        head[56..60].copy_from_slice(&one);
    }
    head[76..78].copy_from_slice(&width.to_be_bytes());
    head[80..82].copy_from_slice(&height.to_be_bytes());
    let handler = mp4_box(b"hdlr", &[&[0; 8][..], handler, &[0; 13]].concat());
    let media = mp4_box(b"mdia", &handler);
    mp4_box(b"trak", &[mp4_box(b"tkhd", &head), media].concat())
}

/// Of 2.5 s, upright from a camera that lay on its side; `user` stands in its box for users.
pub(crate) fn video(user: &[u8]) -> Vec<u8> {
    let tracks = [track(b"vide", 640, 480, true), track(b"soun", 0, 0, false)].concat();
    film(b"isom", &tracks, user)
}

/// A recording in MP4.
pub(crate) fn m4a(user: &[u8]) -> Vec<u8> {
    film(b"M4A ", &track(b"soun", 0, 0, false), user)
}

fn film(brand: &[u8; 4], tracks: &[u8], user: &[u8]) -> Vec<u8> {
    let mut head = vec![0; 100];
    head[12..16].copy_from_slice(&1000_u32.to_be_bytes());
    head[16..20].copy_from_slice(&2500_u32.to_be_bytes());
    let index = [&mp4_box(b"mvhd", &head)[..], tracks, &mp4_box(b"udta", user)].concat();
    [
        mp4_box(b"ftyp", &[&brand[..], &[0; 4], brand].concat()),
        mp4_box(b"free", b""),
        mp4_box(b"moov", &index),
        mp4_box(b"mdat", &[0x11; 3000]),
    ]
    .concat()
}

/// A GIF of many frames.
pub(crate) fn gif(frames: usize) -> Vec<u8> {
    let mut out = b"GIF89a\x01\0\x01\0\0\0\0".to_vec();
    for _ in 0..frames {
        out.extend(b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0");
    }
    out.push(b';');
    out
}

/// All kinds, with the type that they are announced as, small.
pub(crate) fn all() -> Vec<(crate::MimeType, Vec<u8>)> {
    use crate::MimeType::{Aac, Amr, File, Jpeg, Mp4, Opus, Png, Webp};
    let place = [b"\0\0\0\x30\xa9xyz", SECRET].concat();
    vec![
        (Jpeg, jpeg(16, 9)),
        (Jpeg, photo(16, 9, 6)),
        (Jpeg, photo(16, 9, 1)),
        (Png, png(16, 9)),
        (Png, png_photo(16, 9, 8)),
        (Webp, webp(16, 9)),
        (Webp, webp_photo(16, 9, 3)),
        (Webp, webp_photo(16, 9, 1)),
        (Amr, amr(5)),
        (Amr, amr_wide(5)),
        (Aac, adts(5)),
        (Aac, m4a(&place)),
        (Opus, opus(2)),
        (Mp4, video(b"")),
        (Mp4, video(&place)),
        (File, b"anything".to_vec()),
    ]
}
