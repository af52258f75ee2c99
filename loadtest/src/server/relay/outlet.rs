//! The way out to one socket: what is ready together leaves in one write.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::net::TcpStream;
use tokio::sync::Notify;

/// A reader that leaves more unread than this is disconnected, bytes.
const MAX_QUEUED_BYTES: usize = 16 * 1024 * 1024;
/// A queue that has grown beyond this is given back once it is empty, bytes.
const KEPT_BYTES: usize = 4 * 1024;

#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) stream: TcpStream,
    queue: Mutex<Queue>,
    /// The socket took not all; its connection waits until it takes more.
    pub(super) is_blocked: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    bytes: Vec<u8>,
    written: usize,
    is_broken: bool,
}

/// The outcome of a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flushed {
    All,
    Blocked,
    Broken,
}

impl Outlet {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            queue: Mutex::default(),
            is_blocked: Notify::new(),
        }
    }

    /// Queues frames; true when the caller is the first and therefore the one who flushes.
    pub(super) fn push(&self, frames: &[u8]) -> bool {
        let mut queue = self.lock();
        if queue.is_broken {
            return false;
        }
        let first = queue.bytes.is_empty();
        queue.bytes.extend_from_slice(frames);
        if queue.bytes.len() - queue.written > MAX_QUEUED_BYTES {
            queue.is_broken = true;
            self.is_blocked.notify_one();
        }
        first
    }

    /// Writes what is queued, as far as the socket takes it.
    pub(super) fn flush(&self) -> Flushed {
        let mut queue = self.lock();
        while queue.written < queue.bytes.len() && !queue.is_broken {
            match self.stream.try_write(&queue.bytes[queue.written..]) {
                Ok(written) => queue.written += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_blocked.notify_one();
                    return Flushed::Blocked;
                }
                Err(_) => queue.is_broken = true,
            }
        }
        if queue.is_broken {
            queue.bytes = Vec::new();
            queue.written = 0;
            return Flushed::Broken;
        }
        queue.written = 0;
        queue.bytes.clear();
        if queue.bytes.capacity() > KEPT_BYTES {
            queue.bytes = Vec::new();
        }
        Flushed::All
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
