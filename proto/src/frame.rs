//! Frames: a 4-byte big-endian length, then that many bytes of one `ClientFrame` or `ServerFrame`.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

use crate::wire::{ServerFrame, server_frame};

/// The length prefix, bytes.
pub const HEADER_BYTES: usize = 4;
// protocol: "A frame before login has at most 1 KiB"
/// The largest frame before login, bytes: a Login with all its fields at their longest fits.
pub const MAX_BEFORE_LOGIN_BYTES: usize = 1024;
// protocol: "After login yours have at most max_frame_bytes"
/// The default for the largest frame from an app after login, bytes; bigger things go through media upload.
pub const MAX_FRAME_BYTES: usize = 64 * 1024;

/// A header announced a frame over the limit. The connection cannot go on: where the next frame begins is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameTooLong {
    /// The announced length, bytes.
    pub length: usize,
    /// The limit, bytes.
    pub limit: usize,
}

/// Cuts a stream of bytes into frames. Holds nothing but the beginning of a frame whose end has not come yet, and that
/// grows with the bytes that came, never with what a header announces.
#[derive(Debug, Default)]
pub struct FrameReader {
    partial: Vec<u8>,
    taken: bool,
}

impl FrameReader {
    /// The next complete frame of `input` (without its length), which is moved past it; none when more bytes are
    /// needed, and then `input` has been used up. A frame that lies whole in `input` is not copied.
    ///
    /// # Errors
    /// When a header announces more than `limit` bytes; nothing has been reserved for it then.
    pub fn next<'s, 'i: 's>(
        &'s mut self,
        input: &mut &'i [u8],
        limit: usize,
    ) -> Result<Option<&'s [u8]>, FrameTooLong> {
        if self.taken {
            self.partial = Vec::new();
            self.taken = false;
        }
        if self.partial.is_empty() {
            match whole(input, limit)? {
                Some(end) => {
                    let (frame, rest) = input.split_at(end);
                    *input = rest;
                    return Ok(Some(&frame[HEADER_BYTES..]));
                }
                None => {
                    self.partial.extend_from_slice(input);
                    *input = &[];
                    return Ok(None);
                }
            }
        }
        // The header first, so that its length is judged before its bytes are kept.
        self.take(input, HEADER_BYTES);
        if self.partial.len() < HEADER_BYTES {
            return Ok(None);
        }
        let end = HEADER_BYTES + announced(&self.partial, limit)?;
        self.take(input, end);
        if self.partial.len() < end {
            return Ok(None);
        }
        self.taken = true;
        Ok(Some(&self.partial[HEADER_BYTES..]))
    }

    /// Whether the beginning of a frame is held.
    pub fn is_mid_frame(&self) -> bool {
        !self.taken && !self.partial.is_empty()
    }

    fn take(&mut self, input: &mut &[u8], until: usize) {
        let want = until.saturating_sub(self.partial.len()).min(input.len());
        let (now, rest) = input.split_at(want);
        self.partial.extend_from_slice(now);
        *input = rest;
    }
}

// protocol: "A longer length closes the connection"
fn announced(header: &[u8], limit: usize) -> Result<usize, FrameTooLong> {
    let mut length = [0; HEADER_BYTES];
    length.copy_from_slice(&header[..HEADER_BYTES]);
    let length = u32::from_be_bytes(length) as usize;
    if length > limit {
        Err(FrameTooLong { length, limit })
    } else {
        Ok(length)
    }
}

fn whole(input: &[u8], limit: usize) -> Result<Option<usize>, FrameTooLong> {
    if input.len() < HEADER_BYTES {
        return Ok(None);
    }
    let end = HEADER_BYTES + announced(input, limit)?;
    Ok((input.len() >= end).then_some(end))
}

// protocol: "A frame on TCP and TLS is a 4-byte big-endian length"
/// A message as a frame, its length in front.
pub fn encode(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(HEADER_BYTES + length);
    encode_into(message, length, &mut frame);
    frame.freeze()
}

/// Appends a message as a frame to `frame`; `length` is its encoded length.
pub fn encode_into(message: &impl Message, length: usize, frame: &mut BytesMut) {
    frame.reserve(HEADER_BYTES + length);
    // No message of ours comes near 4 GiB: each is bounded by the limits above.
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    // Cannot fail: the capacity was reserved, and encoding to memory has no other error.
    let _ = message.encode(frame);
}

// protocol: "Frames that the node sends unasked carry 0"
/// A node's frame, its length in front; `request_id` 0 when it answers nothing.
pub fn server(request_id: u64, body: server_frame::Body) -> Bytes {
    encode(&ServerFrame {
        request_id,
        body: Some(body),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(chunks: &[&[u8]], limit: usize) -> Result<Vec<Vec<u8>>, FrameTooLong> {
        let mut reader = FrameReader::default();
        let mut frames = Vec::new();
        for chunk in chunks {
            let mut input = *chunk;
            while let Some(frame) = reader.next(&mut input, limit)? {
                frames.push(frame.to_vec());
            }
            assert!(input.is_empty());
        }
        Ok(frames)
    }

    #[test]
    fn an_announced_length_over_the_limit_is_refused_and_reserves_nothing() {
        let mut reader = FrameReader::default();
        let mut input: &[u8] = &[0x7f, 0xff, 0xff, 0xff];
        assert_eq!(
            reader.next(&mut input, 1024),
            Err(FrameTooLong {
                length: 0x7fff_ffff,
                limit: 1024
            })
        );
        assert_eq!(reader.partial.capacity(), 0);
    }

    #[test]
    fn a_length_within_the_limit_reserves_only_what_came() {
        let mut reader = FrameReader::default();
        let mut input: &[u8] = &[0, 0, 0xff, 0xff, 1];
        assert_eq!(reader.next(&mut input, 64 * 1024), Ok(None));
        assert!(reader.partial.capacity() < 64);
        assert!(reader.is_mid_frame());
    }

    #[test]
    fn an_empty_frame_is_a_frame() {
        assert_eq!(
            read_all(&[&[0, 0], &[0, 0, 0, 0, 0, 1, 9]], 16),
            Ok(vec![vec![], vec![9]])
        );
    }

    proptest! {
        #[test]
        fn frames_survive_any_cutting(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..12),
            cuts in prop::collection::vec(1usize..50, 1..40),
        ) {
            let mut stream = Vec::new();
            for body in &bodies {
                stream.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
                stream.extend_from_slice(body);
            }
            let mut chunks = Vec::new();
            let mut rest = stream.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (chunk, after) = rest.split_at((*cut).min(rest.len()));
                chunks.push(chunk);
                rest = after;
            }
            prop_assert_eq!(read_all(&chunks, 300), Ok(bodies));
        }

        #[test]
        fn random_bytes_never_panic(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..20)) {
            let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let _ = read_all(&chunks, 128);
        }
    }
}
