//! The queue of an outbox and its way to the socket.

use std::{collections::VecDeque, io::IoSlice};

use bytes::Bytes;
use proto::{frame::HEADER_BYTES, websocket};

use super::{ANSWER_FRAMES, Class, Framing, MAX_BYTES, MAX_FRAMES};
use crate::{clock, delivery::Pushed, transport::Transport};

/// Frames per vectored write; the kernel accepts 1,024 slices, and a WebSocket frame has two.
const FRAMES_AT_ONCE: usize = 64;

/// Up to this many bytes are coalesced by copying: an answer and the entry behind it.
const COALESCED_BYTES: usize = 2 * 1024;

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) framing: Framing,
    pub(super) queue: VecDeque<Item>,
    /// Bytes of the first item, its header included, that have been written.
    pub(super) written: usize,
    pub(super) bytes: usize,
    /// Bytes and frames of answers among them.
    pub(super) answer_bytes: usize,
    pub(super) answer_frames: usize,
    /// Since when the socket is blocked, seconds of the monotonic clock.
    pub(super) blocked_since_s: Option<u32>,
    pub(super) ending: bool,
    pub(super) broken: bool,
}

#[derive(Debug)]
pub(super) struct Item {
    pub(super) bytes: Bytes,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Frame(Class),
    /// A WebSocket control frame, which has its header already.
    Control,
}

impl Inner {
    pub(super) fn new(framing: Framing) -> Self {
        Self {
            framing,
            queue: VecDeque::new(),
            written: 0,
            bytes: 0,
            answer_bytes: 0,
            answer_frames: 0,
            blocked_since_s: None,
            ending: false,
            broken: false,
        }
    }

    pub(super) fn queue(&mut self, frames: &[Bytes], class: Class) -> Pushed {
        if self.ending || self.broken {
            return Pushed::Ended;
        }
        let bytes: usize = frames.iter().map(Bytes::len).sum();
        let full = match class {
            Class::Entries => {
                let (waiting, count) = (
                    self.bytes - self.answer_bytes,
                    self.queue.len() - self.answer_frames,
                );
                !self.queue.is_empty() && (waiting + bytes > MAX_BYTES || count + frames.len() > MAX_FRAMES)
            }
            Class::Answer => self.answer_frames + frames.len() > ANSWER_FRAMES,
        };
        if full {
            return Pushed::Full;
        }
        for frame in frames {
            self.add(frame.clone(), class);
        }
        Pushed::Taken
    }

    fn add(&mut self, bytes: Bytes, class: Class) {
        self.bytes += bytes.len();
        if class == Class::Answer {
            self.answer_bytes += bytes.len();
            self.answer_frames += 1;
        }
        let kind = Kind::Frame(class);
        self.queue.push_back(Item { bytes, kind });
    }

    /// Recomputes the counts.
    pub(super) fn count(&mut self) {
        let answers = || {
            self.queue
                .iter()
                .filter(|item| item.kind == Kind::Frame(Class::Answer))
        };
        self.answer_frames = answers().count();
        self.answer_bytes = answers().map(|item| item.bytes.len()).sum();
        self.bytes = self.queue.iter().map(|item| item.bytes.len()).sum();
    }

    pub(super) fn write(&mut self, transport: &Transport) {
        while !self.broken {
            let outcome = transport.try_flush().and_then(|()| {
                if self.queue.is_empty() {
                    Ok(None)
                } else {
                    self.write_once(transport).map(Some)
                }
            });
            match outcome {
                Ok(None) => {
                    self.blocked_since_s = None;
                    // An idle connection holds no buffer.
                    self.queue = VecDeque::new();
                    return;
                }
                Ok(Some(written)) => {
                    self.blocked_since_s = None;
                    self.advance(written);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    self.blocked_since_s.get_or_insert_with(clock::uptime_s);
                    return;
                }
                Err(_) => {
                    self.broken = true;
                    self.queue = VecDeque::new();
                    self.count();
                }
            }
        }
    }

    /// The usual case: writes one frame past an empty queue, and queues the unwritten part. False when nothing was
    /// written.
    pub(super) fn write_alone(&mut self, transport: &Transport, frame: &Bytes, class: Class) -> bool {
        let alone = self.queue.is_empty() && self.blocked_since_s.is_none() && !self.ending && !self.broken;
        if !alone || self.framing != Framing::Length {
            return false;
        }
        match transport.try_write_one(frame) {
            Ok(written) if written == frame.len() => true,
            Ok(written) => {
                self.written = written;
                self.add(frame.clone(), class);
                true
            }
            // Queueing it meets the same error.
            Err(_) => false,
        }
    }

    fn write_once(&self, transport: &Transport) -> std::io::Result<usize> {
        if self.framing == Framing::Length
            && let Some(together) = self.coalesce()
        {
            return transport.try_write_one(&together);
        }
        let mut headers = [([0; 10], 0); FRAMES_AT_ONCE];
        let mut slices = [IoSlice::new(&[]); 2 * FRAMES_AT_ONCE];
        let mut used = 0;
        for (item, header) in self.queue.iter().zip(&mut headers) {
            if self.framing == Framing::WebSocket && item.kind != Kind::Control {
                *header = websocket::header(item.bytes.len() - HEADER_BYTES);
            }
        }
        let mut skip = self.written;
        for (item, (header, length)) in self.queue.iter().zip(&headers) {
            let payload = if *length > 0 {
                &item.bytes[HEADER_BYTES..]
            } else {
                &item.bytes[..]
            };
            for part in [&header[..*length], payload] {
                let skipped = skip.min(part.len());
                skip -= skipped;
                if skipped < part.len() {
                    slices[used] = IoSlice::new(&part[skipped..]);
                    used += 1;
                }
            }
        }
        transport.try_write(&slices[..used])
    }

    /// Coalesces a short queue: copying it costs less than a vectored write.
    fn coalesce(&self) -> Option<Vec<u8>> {
        if self.bytes - self.written > COALESCED_BYTES {
            return None;
        }
        let mut together = Vec::with_capacity(self.bytes - self.written);
        for (at, item) in self.queue.iter().enumerate() {
            together.extend_from_slice(&item.bytes[if at == 0 { self.written } else { 0 }..]);
        }
        Some(together)
    }

    fn advance(&mut self, written: usize) {
        self.written += written;
        while let Some(first) = self.queue.front() {
            let length = if self.framing == Framing::WebSocket && first.kind != Kind::Control {
                let payload = first.bytes.len() - HEADER_BYTES;
                payload + websocket::header(payload).1
            } else {
                first.bytes.len()
            };
            if self.written < length {
                return;
            }
            self.written -= length;
            self.bytes -= first.bytes.len();
            if first.kind == Kind::Frame(Class::Answer) {
                self.answer_bytes -= first.bytes.len();
                self.answer_frames -= 1;
            }
            self.queue.pop_front();
        }
    }
}
