//! EXIF: its turn is read, and the rest removed.

use image::metadata::Orientation;

/// The beginning of EXIF in JPEG, and of some in WebP.
pub(super) const MARK: &[u8] = b"Exif\0\0";

/// The turn that an EXIF block asks for, with or without its mark.
pub(super) fn turn(block: &[u8]) -> Option<Orientation> {
    Orientation::from_exif_chunk(block.strip_prefix(MARK).unwrap_or(block))
}

/// An EXIF block that has the turn alone; `None` where there is none.
pub(super) fn block(turn: Orientation) -> Option<[u8; 26]> {
    if turn == Orientation::NoTransforms {
        return None;
    }
    let mut block = *b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x01\0\0\0\0\0\0";
    block[19] = turn.to_exif();
    Some(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_ours_is_read_back() {
        assert_eq!(block(Orientation::NoTransforms), None);
        for number in 2..=8 {
            let wanted = Orientation::from_exif(number).unwrap();
            let block = block(wanted).unwrap();
            assert_eq!(turn(&block), Some(wanted));
            assert_eq!(turn(&[MARK, &block[..]].concat()), Some(wanted));
        }
        assert_eq!(turn(b"II"), None);
    }
}
