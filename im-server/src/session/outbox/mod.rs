//! The outgoing frames of one connection.
//!
//! A sender writes its frame to the socket at once, on its own thread, if the queue is empty. Otherwise the shared
//! bytes are queued, not copied, and leave with the others in one vectored write when the socket drains. A full
//! outbox rejects frames: the session is behind, and is fed from the journal later.

mod queue;

use std::io;

use bytes::Bytes;
use parking_lot::Mutex;
use proto::websocket::{self, CloseCode};

use self::queue::{Inner, Item, Kind};
use crate::{
    delivery::{Pushed, room::FRAMES_TOGETHER},
    transport::Transport,
};

// protocol: "A session that stops reading is closed with Bye SLOW"
/// Bytes queued for one slow reader, beyond the kernel buffers. Together with the page that it is fed from, a session
/// costs some 64 KiB (loadtest/results/README.md). An empty queue accepts one frame of any size.
pub(crate) const MAX_BYTES: usize = 36 * 1024;
const _: () = assert!(
    FRAMES_TOGETHER * 256 <= MAX_BYTES,
    "frames of usual size fit together"
);
/// Frames queued: each costs 40 bytes beside its own, which may be shared.
const MAX_FRAMES: usize = 256;
/// Answers have a limit of their own: a session that is behind in a busy room still gets its acks. A session's task
/// reads no request whose answer might not fit, so one answer at most exceeds these.
const ANSWER_BYTES: usize = 8 * 1024;
const ANSWER_FRAMES: usize = 64;
/// Capacity reserved for each outstanding answer.
const EXPECTED_ANSWER_BYTES: usize = ANSWER_BYTES / ANSWER_FRAMES;
/// The framing of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// A length before each frame.
    Length,
    /// A WebSocket header instead.
    WebSocket,
}

/// The limit that a frame counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Entries, and frames that can be fetched again.
    Entries,
    /// The answer to a request.
    Answer,
}

#[derive(Debug)]
pub(crate) struct Outbox {
    inner: Mutex<Inner>,
}

impl Outbox {
    pub(crate) fn new(framing: Framing) -> Self {
        Self {
            inner: Mutex::new(Inner::new(framing)),
        }
    }

    /// Queues frames and writes as much as the socket takes. Calls `blocked` when the socket is full, so that the
    /// session's task awaits it.
    pub(crate) fn push(
        &self,
        transport: &Transport,
        frames: &[Bytes],
        class: Class,
        blocked: impl FnOnce(),
    ) -> Pushed {
        let mut inner = self.inner.lock();
        let pushed = match frames {
            [frame] if inner.write_alone(transport, frame, class) => Pushed::Taken,
            _ => inner.queue(frames, class),
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

    /// Queues a frame for the next [`Self::push`] or [`Self::flush`], so that both leave together.
    pub(crate) fn queue(&self, frame: &Bytes, class: Class) -> Pushed {
        self.inner.lock().queue(std::slice::from_ref(frame), class)
    }

    /// Queues a last frame; later ones are rejected. With `drop_waiting`, unsent frames are dropped. A WebSocket is
    /// closed with `close`. False when it has ended already.
    pub(crate) fn end(&self, bye: Option<Bytes>, drop_waiting: bool, close: Option<CloseCode>) -> bool {
        let mut inner = self.inner.lock();
        if inner.ending {
            return false;
        }
        inner.ending = true;
        if drop_waiting {
            let keep = usize::from(inner.written > 0);
            inner.queue.truncate(keep);
        }
        let kind = Kind::Frame(Class::Answer);
        inner.queue.extend(bye.map(|bytes| Item { bytes, kind }));
        if inner.framing == Framing::WebSocket {
            inner.queue.push_back(Item {
                bytes: websocket::close(close),
                kind: Kind::Control,
            });
        }
        inner.count();
        true
    }

    pub(crate) fn queue_control(&self, bytes: Bytes) {
        let mut inner = self.inner.lock();
        if !inner.ending && inner.queue.len() < MAX_FRAMES {
            inner.bytes += bytes.len();
            inner.queue.push_back(Item {
                bytes,
                kind: Kind::Control,
            });
        }
    }

    /// Writes as much as the socket takes; true when the queue is empty.
    pub(crate) fn flush(&self, transport: &Transport) -> bool {
        let mut inner = self.inner.lock();
        if !inner.queue.is_empty() || inner.blocked_since_s.is_some() {
            inner.write(transport);
        }
        inner.blocked_since_s.is_none()
    }

    /// Writes unless the socket is blocked, which the session's task awaits. False when the socket blocks now.
    pub(crate) fn flush_unless_blocked(&self, transport: &Transport) -> bool {
        let mut inner = self.inner.lock();
        if inner.queue.is_empty() || inner.blocked_since_s.is_some() {
            return true;
        }
        inner.write(transport);
        inner.blocked_since_s.is_none()
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.inner.lock().blocked_since_s.is_some()
    }

    /// Since when the socket is blocked, seconds of the monotonic clock.
    pub(crate) fn blocked_since_s(&self) -> Option<u32> {
        self.inner.lock().blocked_since_s
    }

    /// Whether a page of entries fits beside the queue.
    pub(crate) fn has_capacity(&self) -> bool {
        let inner = self.inner.lock();
        inner.bytes <= MAX_BYTES / 4 && inner.queue.len() <= MAX_FRAMES / 4
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.inner.lock().queue.is_empty()
    }

    /// Whether this many more answers fit.
    pub(crate) fn has_capacity_for_answers(&self, count: usize) -> bool {
        let inner = self.inner.lock();
        inner.answer_frames + count <= ANSWER_FRAMES
            && inner.answer_bytes + count * EXPECTED_ANSWER_BYTES <= ANSWER_BYTES
    }

    /// Whether writing failed: the peer is gone.
    pub(crate) fn is_broken(&self) -> bool {
        self.inner.lock().broken
    }

    // protocol: "Logout | Bye LOGGED_OUT"
    /// Flushes an ended outbox, then waits for the peer to hang up: closing a socket with unread bytes resets the
    /// connection and loses sent ones.
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
