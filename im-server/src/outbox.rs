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
    transport::{
        Transport,
        websocket::{self, CloseCode},
    },
};

/// Bytes that may wait for one slow reader, after what the kernel holds for it: with everything else, what it is fed from
/// among that, a session is to cost some 64 KiB (loadtest/results/README.md). One frame is always taken when nothing waits.
pub(crate) const MAX_BYTES: usize = 36 * 1024;
/// Frames that may wait: each costs 40 bytes beside its own, which may be shared.
const MAX_FRAMES: usize = 256;
/// Answers have a bound of their own: a session that is behind in a busy room still gets its acks. A session's task takes
/// no request whose answer might find no room, so these are never exceeded by more than what one answer has.
const ANSWER_BYTES: usize = 8 * 1024;
const ANSWER_FRAMES: usize = 64;
/// Room reserved for each answer that is still to come.
const EXPECTED_ANSWER_BYTES: usize = ANSWER_BYTES / ANSWER_FRAMES;
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
    /// Those of them, and frames, that are answers.
    answer_bytes: usize,
    answer_frames: usize,
    /// The socket takes nothing now; since when it has taken nothing (seconds of the monotonic clock).
    blocked_since_s: Option<u32>,
    ending: bool,
    broken: bool,
}

#[derive(Debug)]
struct Item {
    bytes: Bytes,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Frame(What),
    /// A WebSocket control frame, which is not to be dressed.
    Control,
}

impl Outbox {
    pub(crate) fn new(dress: Dress) -> Self {
        Self {
            inner: Mutex::new(Inner {
                dress,
                queue: VecDeque::new(),
                written: 0,
                bytes: 0,
                answer_bytes: 0,
                answer_frames: 0,
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
            [frame] if inner.write_alone(transport, frame, what) => Pushed::Taken,
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
    /// `drop_waiting`. A WebSocket is closed with `close` behind it.
    pub(crate) fn end(&self, bye: Option<Bytes>, drop_waiting: bool, close: Option<CloseCode>) {
        let mut inner = self.inner.lock();
        if inner.ending {
            return;
        }
        inner.ending = true;
        if drop_waiting {
            let keep = usize::from(inner.written > 0);
            inner.queue.truncate(keep);
        }
        let kind = Kind::Frame(What::Answer);
        inner.queue.extend(bye.map(|bytes| Item { bytes, kind }));
        if inner.dress == Dress::WebSocket {
            inner.queue.push_back(Item {
                bytes: websocket::close(close),
                kind: Kind::Control,
            });
        }
        inner.count();
    }

    /// Queues a WebSocket control frame.
    pub(crate) fn queue_bare(&self, bytes: Bytes) {
        let mut inner = self.inner.lock();
        if !inner.ending && inner.queue.len() < MAX_FRAMES {
            inner.bytes += bytes.len();
            inner.queue.push_back(Item {
                bytes,
                kind: Kind::Control,
            });
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

    /// Whether nothing waits for the socket.
    pub(crate) fn is_empty(&self) -> bool {
        self.inner.lock().queue.is_empty()
    }

    /// Whether so many answers find room beside those that wait.
    pub(crate) fn has_room_for_answers(&self, count: usize) -> bool {
        let inner = self.inner.lock();
        inner.answer_frames + count <= ANSWER_FRAMES
            && inner.answer_bytes + count * EXPECTED_ANSWER_BYTES <= ANSWER_BYTES
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
        let full = match what {
            What::Entries => {
                let (waiting, count) = (
                    self.bytes - self.answer_bytes,
                    self.queue.len() - self.answer_frames,
                );
                !self.queue.is_empty() && (waiting + bytes > MAX_BYTES || count + frames.len() > MAX_FRAMES)
            }
            What::Answer => self.answer_frames + frames.len() > ANSWER_FRAMES,
        };
        if full {
            return Pushed::Full;
        }
        for frame in frames {
            self.add(frame.clone(), what);
        }
        Pushed::Taken
    }

    fn add(&mut self, bytes: Bytes, what: What) {
        self.bytes += bytes.len();
        if what == What::Answer {
            self.answer_bytes += bytes.len();
            self.answer_frames += 1;
        }
        let kind = Kind::Frame(what);
        self.queue.push_back(Item { bytes, kind });
    }

    /// Counts anew what waits.
    fn count(&mut self) {
        let answers = || {
            self.queue
                .iter()
                .filter(|item| item.kind == Kind::Frame(What::Answer))
        };
        self.answer_frames = answers().count();
        self.answer_bytes = answers().map(|item| item.bytes.len()).sum();
        self.bytes = self.queue.iter().map(|item| item.bytes.len()).sum();
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
                    self.count();
                }
            }
        }
    }

    /// Writes one frame when nothing waits before it, which is nearly always so, and queues what is left of it. False
    /// when nothing was written: then it is to be queued.
    fn write_alone(&mut self, transport: &Transport, frame: &Bytes, what: What) -> bool {
        let alone = self.queue.is_empty() && self.blocked_since_s.is_none() && !self.ending && !self.broken;
        if !alone || self.dress != Dress::Length {
            return false;
        }
        match transport.try_write_one(frame) {
            Ok(written) if written == frame.len() => true,
            Ok(written) => {
                self.written = written;
                self.add(frame.clone(), what);
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
            if self.dress == Dress::WebSocket && item.kind != Kind::Control {
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
            let length = if self.dress == Dress::WebSocket && first.kind != Kind::Control {
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
            if first.kind == Kind::Frame(What::Answer) {
                self.answer_bytes -= first.bytes.len();
                self.answer_frames -= 1;
            }
            self.queue.pop_front();
        }
    }
}
