//! The inspection of bytes, in pieces of any size.

use proptest::prelude::*;

use super::samples::{self, SECRET};
use crate::{
    MimeType, Refused,
    inspect::{Cleaner, Inspected, Inspector},
    medium::Finished,
};

/// Inspects bytes that come in pieces of this size.
fn inspect_by(mime: MimeType, bytes: &[u8], piece: usize) -> Result<Inspected, Refused> {
    let mut inspector = Inspector::new(mime);
    for piece in bytes.chunks(piece.max(1)) {
        inspector.push(piece)?;
    }
    inspector.end()
}

fn inspect(mime: MimeType, bytes: &[u8]) -> Result<Inspected, Refused> {
    inspect_by(mime, bytes, usize::MAX)
}

fn finished(mime: MimeType, bytes: &[u8]) -> Finished {
    inspect(mime, bytes).unwrap().finished
}

/// The copy for everybody.
fn clean_by(mime: MimeType, bytes: &[u8], piece: usize) -> Vec<u8> {
    let Some(cleaning) = inspect(mime, bytes).unwrap().cleaning else {
        return bytes.to_vec();
    };
    let mut cleaner = Cleaner::new(cleaning);
    let pieces = bytes.chunks(piece.max(1));
    pieces.flat_map(|piece| cleaner.push(piece).unwrap()).collect()
}

fn has(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

fn pixels(bytes: &[u8]) -> Vec<u8> {
    image::load_from_memory(bytes).unwrap().into_rgb8().into_raw()
}

fn orientation(bytes: &[u8]) -> u8 {
    use image::ImageDecoder;
    let reader = image::ImageReader::new(std::io::Cursor::new(bytes));
    let mut decoder = reader.with_guessed_format().unwrap().into_decoder().unwrap();
    decoder.orientation().unwrap().to_exif()
}

#[test]
fn sizes_are_those_that_are_shown() {
    let size = |mime, bytes: &[u8]| {
        let found = finished(mime, bytes);
        (found.width, found.height, found.duration_ms)
    };
    assert_eq!(size(MimeType::Jpeg, &samples::jpeg(640, 480)), (640, 480, 0));
    assert_eq!(size(MimeType::Jpeg, &samples::photo(640, 480, 6)), (480, 640, 0));
    assert_eq!(size(MimeType::Jpeg, &samples::photo(640, 480, 3)), (640, 480, 0));
    assert_eq!(size(MimeType::Png, &samples::png(33, 44)), (33, 44, 0));
    assert_eq!(size(MimeType::Png, &samples::png_photo(33, 44, 8)), (44, 33, 0));
    assert_eq!(size(MimeType::Webp, &samples::webp(300, 200)), (300, 200, 0));
    assert_eq!(
        size(MimeType::Webp, &samples::webp_photo(300, 200, 5)),
        (200, 300, 0)
    );
    assert_eq!(size(MimeType::Mp4, &samples::video(b"")), (480, 640, 2500));
    assert_eq!(size(MimeType::Amr, &samples::amr(150)), (0, 0, 3000));
    assert_eq!(size(MimeType::Amr, &samples::amr_wide(50)), (0, 0, 1000));
    assert_eq!(size(MimeType::Aac, &samples::adts(125)), (0, 0, 8000));
    assert_eq!(size(MimeType::Aac, &samples::m4a(b"")), (0, 0, 2500));
    assert_eq!(size(MimeType::Opus, &samples::opus(3)), (0, 0, 3000));
}

#[test]
fn a_type_is_not_another() {
    for (announced, _) in samples::all() {
        if announced == MimeType::File {
            continue;
        }
        for (mime, bytes) in samples::all() {
            if mime != announced {
                let refused = inspect(announced, &bytes);
                assert!(refused.is_err(), "{mime:?} as {announced:?}");
            }
        }
        for other in [
            &b""[..],
            b"<html>",
            b"%PDF-1.7\n",
            b"PK\x03\x04",
            &samples::gif(10_000),
        ] {
            assert!(inspect(announced, other).is_err(), "{announced:?}");
        }
    }
    let video_as_voice = inspect(MimeType::Aac, &samples::video(b""));
    let announced = MimeType::Aac.name();
    assert_eq!(video_as_voice, Err(Refused::Type { announced }));
}

#[test]
fn a_cut_off_medium_is_refused() {
    for (mime, bytes) in samples::all() {
        if mime == MimeType::File {
            continue;
        }
        // Trailers may be cut off, and recordings where a frame ends.
        let clean = clean_by(mime, &bytes, usize::MAX);
        let step = (clean.len() / 97).max(1);
        for length in (0..clean.len()).step_by(step) {
            let may_end = matches!(mime, MimeType::Amr | MimeType::Aac | MimeType::Opus);
            if let Ok(found) = inspect(mime, &clean[..length]) {
                assert!(
                    may_end && found.finished.duration_ms > 0,
                    "{mime:?} cut at {length}"
                );
            }
        }
    }
}

#[test]
fn bombs_are_refused_by_their_headers() {
    let bomb = samples::bomb();
    assert!(bomb.len() < 21_000);
    let refused = inspect(MimeType::Png, &bomb);
    assert_eq!(
        refused,
        Err(Refused::Pixels {
            width: 30_000,
            height: 30_000,
            max: 50_000_000,
        })
    );
    let moving = samples::png_with(&samples::png(1, 1), &[(b"acTL", vec![0; 8])]);
    assert_eq!(inspect(MimeType::Png, &moving), Err(Refused::Moves));
    let moving = samples::webp_with(4, 4, 0x02, &[]);
    assert_eq!(inspect(MimeType::Webp, &moving), Err(Refused::Moves));
    // An index that announces 1 GB, and scans without end.
    let mut index = samples::mp4_box(b"ftyp", b"isom\0\0\0\0");
    index.extend([0x40, 0, 0, 0]);
    index.extend(b"moov");
    assert_eq!(inspect(MimeType::Mp4, &index), Err(Refused::Parts));
    let jpeg = samples::jpeg(8, 8);
    let scan = jpeg.windows(2).position(|code| code == [0xff, 0xda]).unwrap();
    let (head, scan) = jpeg[..jpeg.len() - 2].split_at(scan);
    let mut endless = head.to_vec();
    endless.extend(scan.repeat(101));
    endless.extend([0xff, 0xd9]);
    assert_eq!(inspect(MimeType::Jpeg, &endless), Err(Refused::Parts));
}

#[test]
fn a_copy_says_no_more_than_it_shows() {
    for (mime, bytes) in samples::all() {
        let clean = clean_by(mime, &bytes, usize::MAX);
        assert!(!has(&clean, SECRET), "{mime:?}");
        assert!(!has(&clean, b"<script>"), "{mime:?}");
        let (before, after) = (inspect(mime, &bytes).unwrap(), inspect(mime, &clean).unwrap());
        assert_eq!(before.finished, after.finished, "{mime:?}");
        assert_eq!(after.cleaning, None, "{mime:?}");
        if matches!(mime, MimeType::Jpeg | MimeType::Png | MimeType::Webp) {
            assert_eq!(pixels(&bytes), pixels(&clean), "{mime:?}");
            assert_eq!(orientation(&bytes), orientation(&clean), "{mime:?}");
        }
        if mime == MimeType::Mp4 {
            assert_eq!(bytes.len(), clean.len(), "the index counts bytes");
        }
    }
}

#[test]
fn what_says_nothing_is_kept_as_it_is() {
    for (mime, bytes) in [
        (MimeType::Jpeg, samples::jpeg(16, 9)),
        (MimeType::Png, samples::png(16, 9)),
        (MimeType::Webp, samples::webp(16, 9)),
        (MimeType::Mp4, samples::video(b"\0\0\0\x10\xa9tooLavf")),
    ] {
        assert_eq!(inspect(mime, &bytes).unwrap().cleaning, None, "{mime:?}");
    }
}

#[test]
fn a_colour_profile_stays_and_a_thumbnail_goes() {
    let profile = [&b"ICC_PROFILE\0\x01\x01"[..], &[7; 40]].concat();
    let jpeg = samples::jpeg_with(
        &samples::jpeg(8, 8),
        &[(0xe2, profile.clone()), (0xe2, b"MPF\0xx".to_vec())],
    );
    let clean = clean_by(MimeType::Jpeg, &jpeg, usize::MAX);
    assert!(has(&clean, &profile) && !has(&clean, b"MPF"));
    let mut thumbnail = b"JFIF\0\x01\x02\0\0\x01\0\x01\x02\x01".to_vec();
    thumbnail.extend([0xcc; 6]);
    let jpeg = samples::jpeg_with(&samples::jpeg(8, 8), &[(0xe0, thumbnail)]);
    assert!(!has(&clean_by(MimeType::Jpeg, &jpeg, usize::MAX), &[0xcc; 6]));
}

proptest! {
    /// A verdict and a copy do not depend on how the bytes come.
    #[test]
    fn pieces_do_not_matter(which in 0..16_usize, piece in 1..400_usize) {
        let (mime, bytes) = samples::all().swap_remove(which);
        prop_assert_eq!(inspect_by(mime, &bytes, piece), inspect(mime, &bytes));
        prop_assert_eq!(clean_by(mime, &bytes, piece), clean_by(mime, &bytes, usize::MAX));
    }

    /// Mutated media never panic; what is accepted has a copy that is accepted as the same, and needs no further one.
    #[test]
    fn mutations_are_refused_or_cleaned(
        which in 0..16_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        repeat in prop::option::of((any::<prop::sample::Index>(), any::<prop::sample::Index>())),
    ) {
        let (mime, mut bytes) = samples::all().swap_remove(which);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some((from, to)) = repeat {
            let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
            let part = bytes[from.min(to)..from.max(to)].to_vec();
            let at = from.max(to);
            bytes.splice(at..at, part);
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(found) = inspect(mime, &bytes) {
            let clean = clean_by(mime, &bytes, usize::MAX);
            let again = inspect(mime, &clean);
            prop_assert_eq!(again, Ok(Inspected { finished: found.finished, cleaning: None }));
        }
    }

    /// Neither do bytes of no kind at all.
    #[test]
    fn noise_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for mime in MimeType::ALL {
            let verdict = inspect(mime, &bytes);
            prop_assert!(verdict.is_err() || mime == MimeType::File, "{:?}", mime);
        }
    }
}
