//! The sends of one session: their order, and the answers that are still to come.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use journal::append::Stream;

use super::Session;

/// A session that paused since too many answers were owed goes on when so many more find room.
const ANSWERS_TO_GO_ON: usize = 32;
/// How often a session that is not read counts as heard.
const HEARD_EVERY: Duration = Duration::from_secs(1);

/// A session's sends.
#[derive(Default)]
pub(crate) struct Sending {
    /// Keeps their order over refusals.
    pub(crate) stream: Arc<Stream>,
    /// Sends that are not answered yet.
    owed: AtomicUsize,
    /// Whether the session's task waits until there are fewer.
    is_awaited: AtomicBool,
}

impl Sending {
    /// How many sends are not answered yet.
    pub(crate) fn owed(&self) -> usize {
        self.owed.load(Ordering::SeqCst)
    }

    /// Says whether the session's task is to be woken for each answer. Ask for [`Self::owed`] after that, never before.
    pub(crate) fn set_awaited(&self, is_awaited: bool) {
        self.is_awaited.store(is_awaited, Ordering::SeqCst);
    }
}

/// An answer that a session owes its app, until it is dropped.
pub(crate) struct Owed {
    pub(crate) session: Arc<Session>,
    pub(crate) sending: Arc<Sending>,
}

impl Owed {
    pub(crate) fn new(session: &Arc<Session>, sending: &Arc<Sending>) -> Self {
        sending.owed.fetch_add(1, Ordering::SeqCst);
        Self {
            session: session.clone(),
            sending: sending.clone(),
        }
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        self.sending.owed.fetch_sub(1, Ordering::SeqCst);
        if self.sending.is_awaited.load(Ordering::SeqCst) {
            self.session.waker.wake();
        }
    }
}

/// Who waits for the answer to a send.
pub(crate) struct SendContext {
    pub(crate) owed: Owed,
    pub(crate) request_id: u64,
}

/// Waits until answers find room again, some at once, so that a session does not pause for each of them.
pub(crate) async fn room_for_answers(session: Arc<Session>, sending: Option<Arc<Sending>>) {
    let mut room = pin!(poll_fn(|_| {
        session.flush();
        let owed = sending.as_ref().map_or(0, |sending| {
            sending.set_awaited(true);
            sending.owed()
        });
        if session.has_ended() || session.outbox.has_room_for_answers(owed + ANSWERS_TO_GO_ON) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }));
    while tokio::time::timeout(HEARD_EVERY, &mut room).await.is_err() {
        session.heard();
    }
    if let Some(sending) = &sending {
        sending.set_awaited(false);
    }
}
