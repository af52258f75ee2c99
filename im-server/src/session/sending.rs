//! The sends of one session: their order, and their outstanding answers.

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

/// Free answers at which a paused session resumes.
const ANSWERS_TO_GO_ON: usize = 32;
/// A paused session counts as active this often.
const HEARD_EVERY: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(crate) struct Sending {
    /// Keeps their order across refusals.
    pub(crate) stream: Arc<Stream>,
    /// Sends without an answer.
    owed: AtomicUsize,
    /// Whether answers wake the session's task.
    is_awaited: AtomicBool,
}

impl Sending {
    pub(crate) fn owed(&self) -> usize {
        self.owed.load(Ordering::SeqCst)
    }

    /// Sets whether answers wake the session's task. Read [`Self::owed`] after that, never before.
    pub(crate) fn set_awaited(&self, is_awaited: bool) {
        self.is_awaited.store(is_awaited, Ordering::SeqCst);
    }
}

/// An outstanding answer, until it is dropped.
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

/// The session and request that a send is answered to.
pub(crate) struct SendContext {
    pub(crate) owed: Owed,
    pub(crate) request_id: u64,
}

/// Waits until several answers fit again, so that a session does not pause for each.
pub(crate) async fn capacity_for_answers(session: Arc<Session>, sending: Option<Arc<Sending>>) {
    let mut room = pin!(poll_fn(|_| {
        session.flush();
        let owed = sending.as_ref().map_or(0, |sending| {
            sending.set_awaited(true);
            sending.owed()
        });
        if session.has_ended() || session.outbox.has_capacity_for_answers(owed + ANSWERS_TO_GO_ON) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }));
    while tokio::time::timeout(HEARD_EVERY, &mut room).await.is_err() {
        session.touch();
    }
    if let Some(sending) = &sending {
        sending.set_awaited(false);
    }
}
