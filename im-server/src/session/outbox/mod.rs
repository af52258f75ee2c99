//! What waits to be written to one connection.
//!
//! Whoever has a frame for a session writes it to the socket at once, from where they are, if nothing is queued; else
//! the shared bytes are queued (not copied) and leave with the others in one vectored write, when the socket takes more.
//! A full outbox takes nothing: the session is behind and is fed from the journal later.

mod queue;

use std::io;

use bytes::Bytes;
use parking_lot::Mutex;

use self::queue::{Inner, Item, Kind};
use crate::{
    delivery::{Pushed, room::FRAMES_TOGETHER},
    transport::{
        Transport,
        websocket::{self, CloseCode},
    },
};

/// Bytes that may wait for one slow reader, after what the kernel holds for it: with everything else, what it is fed from
/// among that, a session is to cost some 64 KiB (loadtest/results/README.md). One frame is always taken when nothing waits.
pub(crate) const MAX_BYTES: usize = 36 * 1024;
const _: () = assert!(
    FRAMES_TOGETHER * 256 <= MAX_BYTES,
    "frames of usual size fit together"
);
/// Frames that may wait: each costs 40 bytes beside its own, which may be shared.
const MAX_FRAMES: usize = 256;
/// Answers have a bound of their own: a session that is behind in a busy room still gets its acks. A session's task takes
/// no request whose answer might find no room, so these are never exceeded by more than what one answer has.
const ANSWER_BYTES: usize = 8 * 1024;
const ANSWER_FRAMES: usize = 64;
/// Room reserved for each answer that is still to come.
const EXPECTED_ANSWER_BYTES: usize = ANSWER_BYTES / ANSWER_FRAMES;
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

#[derive(Debug)]
pub(crate) struct Outbox {
    inner: Mutex<Inner>,
}

impl Outbox {
    pub(crate) fn new(dress: Dress) -> Self {
        Self {
            inner: Mutex::new(Inner::new(dress)),
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

    /// Writes what an ended outbox still holds, then waits for the peer to hang up: closing a socket with unread bytes in it
    /// would take back what has been written.
    pub(crate) async fn finish(&self, transport: &Transport) {
        while !self.flush(transport) {
            if self.is_broken() || transport.writable().await.is_err() {
                return;
            }
        }
        transport.end_writing();
        let mut buffer = [0; 2048];
        loop {
            match transport.try_read(&mut buffer) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if transport.readable().await.is_err() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    }
}
