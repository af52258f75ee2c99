//! A logged-in connection, as the rest of the node sees it. Its task is in `connection`.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};

use backplane::Generation;
use bytes::Bytes;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use proto::{
    ConversationId, Seq, UserId, frame,
    wire::{Bye, ByeReason, Error, ErrorCode, Platform, server_frame::Body},
};

use crate::{
    clock,
    outbox::{Outbox, Pushed, What},
    transport::Transport,
};

/// One session: a device of a user, on one connection.
pub(crate) struct Session {
    pub(crate) id: u64,
    pub(crate) user: UserId,
    pub(crate) device_id: Box<str>,
    pub(crate) generation: Generation,
    pub(crate) platform: Platform,
    pub(crate) transport: Transport,
    pub(crate) outbox: Outbox,
    /// Wakes the session's task when there is something to do that its socket does not tell.
    pub(crate) waker: AtomicWaker,
    /// When the IM password expires, epoch milliseconds.
    pub(crate) expires_at_ms: AtomicI64,
    /// When the app said something last, epoch seconds.
    pub(crate) heard_s: AtomicU32,
    /// Entries flow from the first Sync on.
    pub(crate) synced: AtomicBool,
    ended: AtomicBool,
    books: Mutex<Books>,
}

/// Conversations of a session. Bounded by how many its user has.
#[derive(Default)]
struct Books {
    /// Rooms that it may be a member of, to be left at the end.
    attached: Vec<ConversationId>,
    /// Conversations that it was added to or is behind in: its task feeds it from the journal. Boxed, since nearly
    /// always there are none.
    #[allow(
        clippy::box_collection,
        reason = "a session owns one pointer for what it rarely needs"
    )]
    to_feed: Option<Box<Vec<ToFeed>>>,
    /// Conversations that its user left not long ago.
    #[allow(
        clippy::box_collection,
        reason = "a session owns one pointer for what it rarely needs"
    )]
    departures: Option<Box<Vec<Departure>>>,
}

/// A conversation that a session is to be fed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ToFeed {
    pub(crate) conversation: ConversationId,
    /// What its user was brought into before this, epoch milliseconds, the session has been given already.
    pub(crate) since_ms: i64,
}

/// What a session got of a conversation that its user left: kept for as long as the sweep may ask whether it was told.
struct Departure {
    conversation: ConversationId,
    /// It got everything up to this.
    reached: Seq,
    at_ms: i64,
}

impl Session {
    #[allow(
        clippy::too_many_arguments,
        reason = "made in one place, from what a login is"
    )]
    pub(crate) fn new(
        id: u64,
        user: UserId,
        device_id: Box<str>,
        generation: Generation,
        platform: Platform,
        transport: Transport,
        outbox: Outbox,
        expires_at_ms: i64,
    ) -> Self {
        Self {
            id,
            user,
            device_id,
            generation,
            platform,
            transport,
            outbox,
            waker: AtomicWaker::new(),
            expires_at_ms: AtomicI64::new(expires_at_ms),
            heard_s: AtomicU32::new(clock::now_s()),
            synced: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            books: Mutex::default(),
        }
    }

    /// Sends frames, or learns that the session is behind.
    pub(crate) fn push(&self, frames: &[Bytes]) -> Pushed {
        self.outbox
            .push(&self.transport, frames, What::Entries, || self.waker.wake())
    }

    /// Queues a frame that leaves with the next ones pushed, or by [`Self::flush`].
    pub(crate) fn queue(&self, frame: &Bytes) -> Pushed {
        self.outbox.queue(frame, What::Entries)
    }

    /// Writes what is queued.
    pub(crate) fn flush(&self) {
        if !self.outbox.flush_unless_blocked(&self.transport) {
            self.waker.wake();
        }
    }

    /// Answers a request. An app that does not even read its answers is ended.
    pub(crate) fn answer(&self, request_id: u64, body: Body) {
        let frame = frame::server(request_id, body);
        let pushed = self
            .outbox
            .push(&self.transport, &[frame], What::Answer, || self.waker.wake());
        if pushed == Pushed::Full {
            self.end(ByeReason::Slow, 1_000, "answers were not read");
        }
    }

    /// Queues an answer that leaves with the next frames pushed, or by [`Self::flush`].
    pub(crate) fn queue_answer(&self, request_id: u64, body: Body) {
        let frame = frame::server(request_id, body);
        if self.outbox.queue(&frame, What::Answer) == Pushed::Full {
            self.flush();
            if self.outbox.queue(&frame, What::Answer) == Pushed::Full {
                self.end(ByeReason::Slow, 1_000, "answers were not read");
            }
        }
    }

    /// Answers a request that failed.
    pub(crate) fn refuse(&self, request_id: u64, code: ErrorCode, field: &str, message: impl Into<String>) {
        self.refuse_until(request_id, code, field, message, 0);
    }

    /// The same with a time to try again, milliseconds from now.
    pub(crate) fn refuse_until(
        &self,
        request_id: u64,
        code: ErrorCode,
        field: &str,
        message: impl Into<String>,
        retry_after_ms: u32,
    ) {
        metrics::counter!("huizhen_im_errors_total", "code" => code.as_str_name()).increment(1);
        let error = Error {
            code: code as i32,
            field: field.into(),
            message: message.into(),
            retry_after_ms,
        };
        self.answer(request_id, Body::Error(error));
    }

    /// Ends the session: a Bye, then its task closes the connection. Only the first call counts.
    pub(crate) fn end(&self, reason: ByeReason, retry_after_ms: u32, detail: &str) {
        if self.ended.swap(true, Ordering::AcqRel) {
            return;
        }
        metrics::counter!("huizhen_im_byes_total", "reason" => reason.as_str_name()).increment(1);
        let bye = Bye {
            reason: reason as i32,
            retry_after_ms,
            detail: detail.into(),
        };
        self.outbox
            .end(Some(frame::server(0, Body::Bye(bye))), reason == ByeReason::Slow);
        self.outbox.flush(&self.transport);
        self.waker.wake();
    }

    /// Ends the session without a word: the app has hung up or logged out.
    pub(crate) fn hang_up(&self) {
        if !self.ended.swap(true, Ordering::AcqRel) {
            self.outbox.end(None, false);
            self.outbox.flush(&self.transport);
            self.waker.wake();
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub(crate) fn heard(&self) {
        self.heard_s.store(clock::now_s(), Ordering::Relaxed);
    }

    pub(crate) fn is_synced(&self) -> bool {
        self.synced.load(Ordering::Acquire)
    }

    /// Asks the session's task to feed it from a conversation's journal; `since_ms` as in [`ToFeed`].
    pub(crate) fn feed(&self, conversation: ConversationId, since_ms: i64) {
        let mut books = self.books.lock();
        let to_feed = books.to_feed.get_or_insert_default();
        match to_feed.iter_mut().find(|of| of.conversation == conversation) {
            Some(asked) => asked.since_ms = asked.since_ms.min(since_ms),
            None => to_feed.push(ToFeed {
                conversation,
                since_ms,
            }),
        }
        drop(books);
        self.waker.wake();
    }

    pub(crate) fn take_to_feed(&self) -> Vec<ToFeed> {
        self.books
            .lock()
            .to_feed
            .take()
            .map(|to_feed| *to_feed)
            .unwrap_or_default()
    }

    pub(crate) fn has_to_feed(&self) -> bool {
        self.books.lock().to_feed.is_some()
    }

    pub(crate) fn remember_attached(&self, conversation: ConversationId) {
        let mut books = self.books.lock();
        // Few of many are attached twice (after leaving and joining again); leaving twice does no harm.
        if books.attached.last() != Some(&conversation) {
            books.attached.push(conversation);
        }
    }

    /// Remembers that the user has left a conversation, of which the session got everything up to `reached`.
    pub(crate) fn depart(&self, conversation: ConversationId, reached: Seq) {
        let at_ms = clock::now_ms();
        let mut books = self.books.lock();
        let departures = books.departures.get_or_insert_default();
        match departures.iter_mut().find(|of| of.conversation == conversation) {
            Some(departure) => {
                departure.reached = departure.reached.max(reached);
                departure.at_ms = at_ms;
            }
            None => departures.push(Departure {
                conversation,
                reached,
                at_ms,
            }),
        }
    }

    /// Up to where the session got a conversation that its user left not long ago.
    pub(crate) fn departed_at(&self, conversation: ConversationId) -> Option<Seq> {
        let books = self.books.lock();
        let mut departures = books.departures.iter().flat_map(|departures| departures.iter());
        departures
            .find(|of| of.conversation == conversation)
            .map(|departure| departure.reached)
    }

    /// Forgets departures before a moment, epoch milliseconds.
    pub(crate) fn forget_departures(&self, before_ms: i64) {
        let mut books = self.books.lock();
        if let Some(departures) = &mut books.departures {
            departures.retain(|departure| departure.at_ms >= before_ms);
            if departures.is_empty() {
                books.departures = None;
            }
        }
    }

    pub(crate) fn take_attached(&self) -> Vec<ConversationId> {
        std::mem::take(&mut self.books.lock().attached)
    }
}
