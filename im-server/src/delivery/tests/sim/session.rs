//! A simulated session: its books, its socket, and its task that is polled by hand.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use journal::order::Horizon;
use parking_lot::Mutex;
use prost::Message;
use proto::{
    UserId,
    frame::HEADER_BYTES,
    wire::{ServerFrame, server_frame::Body},
};

use super::{World, source::SimSource};
use crate::delivery::{
    Pushed, Receiver,
    books::Books,
    feed::{self, Request, source::Stopped},
};

type Task = Pin<Box<dyn Future<Output = Option<Answer>> + Send>>;

/// The answer to a Sync; `None` of a task that looked after conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Answer {
    Done { more: bool },
    Unavailable,
}

/// A frame as it left the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Frame {
    Conversation {
        id: i64,
        reset: bool,
        from_seq: i64,
        last_seq: i64,
    },
    Entry {
        id: i64,
        seq: i64,
    },
}

#[derive(Clone)]
pub(in super::super) struct SimSession {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    id: u64,
    user: UserId,
    world: Arc<World>,
    books: Mutex<Books>,
    pub(super) socket: Mutex<Socket>,
    task: Mutex<Option<Task>>,
    answer: Mutex<Option<Answer>>,
}

pub(super) struct Socket {
    /// Frames that left the socket.
    pub(super) frames: VecDeque<Frame>,
    /// Frames until it is full.
    pub(super) capacity: usize,
    ended: bool,
}

/// Outbox capacity of a session that does not read, frames.
pub(in super::super) const CAPACITY: usize = 4;
/// Capacity of a session that reads.
const READS: usize = usize::MAX / 2;

impl SimSession {
    pub(in super::super) fn new(world: &Arc<World>, id: u64, user: i64) -> Self {
        Self {
            inner: Arc::new(Inner {
                id,
                user: UserId::from_database(user),
                world: world.clone(),
                books: Mutex::default(),
                socket: Mutex::new(Socket {
                    frames: VecDeque::new(),
                    capacity: READS,
                    ended: false,
                }),
                task: Mutex::default(),
                answer: Mutex::default(),
            }),
        }
    }

    pub(in super::super) fn reads(&self) -> bool {
        self.inner.socket.lock().capacity > CAPACITY
    }

    pub(in super::super) fn set_reading(&self, reads: bool) {
        self.inner.socket.lock().capacity = if reads { READS } else { CAPACITY };
    }

    pub(in super::super) fn take_frames(&self) -> Vec<Frame> {
        self.inner.socket.lock().frames.drain(..).collect()
    }

    pub(in super::super) fn is_busy(&self) -> bool {
        self.inner.task.lock().is_some()
    }

    pub(in super::super) fn has_ended(&self) -> bool {
        self.inner.socket.lock().ended
    }

    pub(in super::super) fn sync(&self, request: Request, horizon: Horizon) {
        let source = SimSource {
            world: self.inner.world.clone(),
            session: self.clone(),
        };
        *self.inner.task.lock() = Some(Box::pin(async move {
            match feed::sync(&source, &request, horizon).await {
                Ok(more) => Some(Answer::Done { more }),
                Err(Stopped::Ended) => None,
                Err(Stopped::Unavailable(_) | Stopped::Partly) => Some(Answer::Unavailable),
            }
        }));
    }

    /// Runs the session's task to its next wait.
    pub(in super::super) fn poll(&self) {
        let mut task = match self.inner.task.lock().take() {
            Some(task) => task,
            None if self.books().lock().has_to_feed() && self.has_capacity() => self.look_after(),
            None => return,
        };
        match task.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(None) => {}
            Poll::Ready(answer) => *self.inner.answer.lock() = answer,
            Poll::Pending => *self.inner.task.lock() = Some(task),
        }
    }

    /// The answer of a completed Sync.
    pub(in super::super) fn take_answer(&self) -> Option<Answer> {
        self.inner.answer.lock().take()
    }

    pub(in super::super) fn has_work(&self) -> bool {
        self.is_busy() || self.books().lock().has_to_feed()
    }

    fn look_after(&self) -> Task {
        let source = SimSource {
            world: self.inner.world.clone(),
            session: self.clone(),
        };
        let to_feed = self.books().lock().take_to_feed();
        Box::pin(async move {
            for id in to_feed {
                if let Err(Stopped::Unavailable(_)) = feed::look_after(&source, id).await {
                    source.session.inner.socket.lock().ended = true;
                }
            }
            None
        })
    }

    /// Ends the connection; drops its task at any point.
    pub(in super::super) fn end(&self) {
        self.inner.socket.lock().ended = true;
        drop(self.inner.task.lock().take());
        let attached = self.books().lock().take_attached();
        for id in attached {
            let room = self.inner.world.rooms.lock().get(&id.get()).cloned();
            if let Some(room) = room {
                room.detach(self, None, 0);
            }
        }
    }

    fn take(&self, frames: &[Bytes]) -> Pushed {
        let mut socket = self.inner.socket.lock();
        if socket.ended {
            return Pushed::Ended;
        }
        if socket.capacity < frames.len() {
            return Pushed::Full;
        }
        socket.capacity -= frames.len();
        socket.frames.extend(frames.iter().map(decode));
        Pushed::Taken
    }
}

fn decode(frame: &Bytes) -> Frame {
    let frame = ServerFrame::decode(&frame[HEADER_BYTES..]).unwrap();
    match frame.body {
        Some(Body::Entry(entry)) => Frame::Entry {
            id: entry.conversation_id,
            seq: entry.seq,
        },
        other => panic!("{other:?}"),
    }
}

impl Receiver for SimSession {
    fn id(&self) -> u64 {
        self.inner.id
    }

    fn user(&self) -> UserId {
        self.inner.user
    }

    fn books(&self) -> &Mutex<Books> {
        &self.inner.books
    }

    fn push(&self, frames: &[Bytes]) -> Pushed {
        // Tasks on another core.
        let concurrent = std::mem::take(&mut *self.inner.world.concurrent.lock());
        for session in concurrent {
            session.poll();
        }
        self.take(frames)
    }

    fn queue(&self, frame: &Bytes) -> Pushed {
        self.take(std::slice::from_ref(frame))
    }

    fn flush(&self) {}

    fn has_capacity(&self) -> bool {
        let socket = self.inner.socket.lock();
        socket.capacity > 0
    }

    fn wake(&self) {}
}
