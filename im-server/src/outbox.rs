//! What waits to be written to one connection.
//!
//! Whoever has a frame for a session writes it to the socket at once, from where they are, if nothing is queued; else
//! the shared bytes are queued (not copied) and leave with the others in one vectored write, when the socket takes more.
//! A full outbox takes nothing: the session is behind and is fed from the journal later.

use std::{collections::VecDeque, io::IoSlice};

use bytes::Bytes;
use parking_lot::Mutex;
use proto::frame::HEADER_BYTES;

use crate::{
    clock,
    transport::{Transport, websocket},
};

/// Bytes that may wait for one slow reader, after what the kernel holds for it: with everything else, what it is fed from
/// among that, a session is to cost some 64 KiB (loadtest/results/README.md). One frame is always taken when nothing waits.
pub(crate) const MAX_BYTES: usize = 36 * 1024;
/// Frames that may wait: each costs 40 bytes beside its own, which may be shared.
const MAX_FRAMES: usize = 256;
/// As much again only answers may use: a session that is behind in a busy room still gets its acks.
const ANSWER_BYTES: usize = 8 * 1024;
const ANSWER_FRAMES: usize = 64;
/// Frames in one vectored write; the kernel takes 1,024 slices, and a WebSocket frame has two.
const FRAMES_AT_ONCE: usize = 64;

/// As much as this is copied into one piece and sent: an answer and the entry that goes with it.
const GATHERED_BYTES: usize = 2 * 1024;

/// How frames are dressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dress {
    /// As they are: a length in front.
    Length,
    /// A WebSocket header in front instead.
    WebSocket,
}

/// What frames are, for the limit that they come under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Entries and what else can be fetched again.
    Entries,
    /// The answer to a request.
    Answer,
}

/// What became of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// Written or queued.
    Taken,
    /// Nothing was taken: the session is behind.
    Full,
    /// The connection is ending; nothing is taken any more.
    Ended,
}

#[derive(Debug)]
pub(crate) struct Outbox {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    dress: Dress,
    queue: VecDeque<Item>,
    /// How much of the first item (its dress included) has been written.
    written: usize,
    /// Bytes in the queue.
    bytes: usize,
    /// The socket takes nothing now; since when it has taken nothing (seconds of the monotonic clock).
    blocked_since_s: Option<u32>,
    ending: bool,
    broken: bool,
}

#[derive(Debug)]
struct Item {
    bytes: Bytes,
    /// Not to be dressed: a WebSocket control frame.
    bare: bool,
}

impl Outbox {
    pub(crate) fn new(dress: Dress) -> Self {
        Self {
            inner: Mutex::new(Inner {
                dress,
                queue: VecDeque::new(),
                written: 0,
                bytes: 0,
                blocked_since_s: None,
                ending: false,
                broken: false,
            }),
        }
    }

    /// Takes frames and writes what can be written now. `blocked` is called when the socket takes no more, so that the
    /// session's task waits for it.
    pub(crate) fn push(
        &self,
        transport: &Transport,
        frames: &[Bytes],
        what: What,
        blocked: impl FnOnce(),
    ) -> Pushed {
        let mut inner = self.inner.lock();
        let pushed = match frames {
            [frame] if inner.write_alone(transport, frame) => Pushed::Taken,
            _ => inner.queue(frames, what),
        };
        if pushed == Pushed::Taken && inner.blocked_since_s.is_none() && !inner.queue.is_empty() {
            inner.write(transport);
            if inner.blocked_since_s.is_some() {
                drop(inner);
                blocked();
            }
        }
        pushed
    }

    /// Takes a frame and leaves it for the next [`Self::push`] or [`Self::flush`], so that both leave together.
    pub(crate) fn queue(&self, frame: &Bytes, what: What) -> Pushed {
        self.inner.lock().queue(std::slice::from_ref(frame), what)
    }

    /// Takes a last frame, whatever waits before it, and nothing after it. What has not begun to leave is let go when
    /// `drop_waiting`.
    pub(crate) fn end(&self, bye: Option<Bytes>, drop_waiting: bool) {
        let mut inner = self.inner.lock();
        if inner.ending {
            return;
        }
        inner.ending = true;
        if drop_waiting {
            let keep = usize::from(inner.written > 0);
            inner.queue.truncate(keep);
        }
        inner.queue.extend(bye.map(|bytes| Item { bytes, bare: false }));
        if inner.dress == Dress::WebSocket {
            inner.queue.push_back(Item {
                bytes: websocket::close(),
                bare: true,
            });
        }
        inner.bytes = inner.queue.iter().map(|item| item.bytes.len()).sum();
    }

    /// Queues a WebSocket control frame.
    pub(crate) fn queue_bare(&self, bytes: Bytes) {
        let mut inner = self.inner.lock();
        if !inner.ending && inner.queue.len() < MAX_FRAMES {
            inner.bytes += bytes.len();
            inner.queue.push_back(Item { bytes, bare: true });
        }
    }

    /// Writes what can be written now; true when nothing waits any more.
    pub(crate) fn flush(&self, transport: &Transport) -> bool {
        let mut inner = self.inner.lock();
        if !inner.queue.is_empty() || inner.blocked_since_s.is_some() {
            inner.write(transport);
        }
        inner.blocked_since_s.is_none()
    }

    /// The same unless the socket took nothing when it was asked last; then the session's task asks when it is ready.
    /// False when it takes nothing any more.
    pub(crate) fn flush_unless_blocked(&self, transport: &Transport) -> bool {
        let mut inner = self.inner.lock();
        if inner.queue.is_empty() || inner.blocked_since_s.is_some() {
            return true;
        }
        inner.write(transport);
        inner.blocked_since_s.is_none()
    }

    /// Whether the socket took nothing when it was asked last.
    pub(crate) fn is_blocked(&self) -> bool {
        self.inner.lock().blocked_since_s.is_some()
    }

    /// Since when the socket has taken nothing, seconds of the monotonic clock.
    pub(crate) fn blocked_since_s(&self) -> Option<u32> {
        self.inner.lock().blocked_since_s
    }

    /// Whether there is room for a page of entries beside what waits.
    pub(crate) fn has_room(&self) -> bool {
        let inner = self.inner.lock();
        inner.bytes <= MAX_BYTES / 4 && inner.queue.len() <= MAX_FRAMES / 4
    }

    /// Whether writing failed: the peer is gone.
    pub(crate) fn is_broken(&self) -> bool {
        self.inner.lock().broken
    }
}

impl Inner {
    fn queue(&mut self, frames: &[Bytes], what: What) -> Pushed {
        if self.ending || self.broken {
            return Pushed::Ended;
        }
        let bytes: usize = frames.iter().map(Bytes::len).sum();
        let (max_bytes, max_frames) = match what {
            What::Entries => (MAX_BYTES, MAX_FRAMES),
            What::Answer => (MAX_BYTES + ANSWER_BYTES, MAX_FRAMES + ANSWER_FRAMES),
        };
        let full = self.bytes + bytes > max_bytes || self.queue.len() + frames.len() > max_frames;
        if full && !self.queue.is_empty() {
            return Pushed::Full;
        }
        self.bytes += bytes;
        self.queue.extend(frames.iter().map(|bytes| Item {
            bytes: bytes.clone(),
            bare: false,
        }));
        Pushed::Taken
    }

    fn write(&mut self, transport: &Transport) {
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
                    self.bytes = 0;
                }
            }
        }
    }

    /// Writes one frame when nothing waits before it, which is nearly always so, and queues what is left of it. False
    /// when nothing was written: then it is to be queued.
    fn write_alone(&mut self, transport: &Transport, frame: &Bytes) -> bool {
        let alone = self.queue.is_empty() && self.blocked_since_s.is_none() && !self.ending && !self.broken;
        if !alone || self.dress != Dress::Length {
            return false;
        }
        match transport.try_write_one(frame) {
            Ok(written) if written == frame.len() => true,
            Ok(written) => {
                self.bytes = frame.len();
                self.written = written;
                self.queue.push_back(Item {
                    bytes: frame.clone(),
                    bare: false,
                });
                true
            }
            // The ordinary way finds the same.
            Err(_) => false,
        }
    }

    fn write_once(&self, transport: &Transport) -> std::io::Result<usize> {
        if self.dress == Dress::Length
            && let Some(together) = self.gather()
        {
            return transport.try_write_one(&together);
        }
        let mut headers = [([0; 10], 0); FRAMES_AT_ONCE];
        let mut slices = [IoSlice::new(&[]); 2 * FRAMES_AT_ONCE];
        let mut used = 0;
        for (item, header) in self.queue.iter().zip(&mut headers) {
            if self.dress == Dress::WebSocket && !item.bare {
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

    /// Everything that waits as one piece, when it is little: copying it costs less than a vectored write.
    fn gather(&self) -> Option<Vec<u8>> {
        if self.bytes - self.written > GATHERED_BYTES {
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
            let length = if self.dress == Dress::WebSocket && !first.bare {
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
            self.queue.pop_front();
        }
    }
}
