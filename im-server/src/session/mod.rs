//! A logged-in connection, as the rest of the node sees it. Its task is in `connection`.

pub(crate) mod capacity;
pub(crate) mod decoder;
pub(crate) mod limits;
pub(crate) mod marks;
pub(crate) mod outbox;
pub(crate) mod rate;
pub(crate) mod sending;
pub(crate) mod users;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering},
};

use backplane::Generation;
use bytes::Bytes;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use proto::{
    Language, Sentence, UserId, frame,
    websocket::CloseCode,
    wire::{Bye, ByeReason, Error, ErrorCode, Platform, server_frame::Body},
};
use telemetry::events::im as events;

use self::outbox::{Class, Outbox};
use crate::{
    clock,
    delivery::{Pushed, Receiver, books::Books, room::Room, rooms::Rooms},
    sentences,
    transport::Transport,
};

pub(crate) type SessionRoom = Room<Arc<Session>>;
pub(crate) type SessionRooms = Rooms<Arc<Session>>;

/// One session: a user's device on one connection.
pub(crate) struct Session {
    pub(crate) id: u64,
    pub(crate) user: UserId,
    pub(crate) device_id: Box<str>,
    pub(crate) generation: Generation,
    pub(crate) platform: Platform,
    /// The language of sentences for the user.
    pub(crate) language: Language,
    pub(crate) transport: Transport,
    pub(crate) outbox: Outbox,
    /// Wakes the session's task for work that its socket does not signal.
    pub(crate) waker: AtomicWaker,
    /// Expiry of the IM password, epoch milliseconds.
    pub(crate) expires_at_ms: AtomicI64,
    /// Last complete frame of the app, seconds of the monotonic clock.
    pub(crate) active_s: AtomicU32,
    ended: AtomicBool,
    pub(crate) books: Mutex<Books>,
}

impl Session {
    #[allow(clippy::too_many_arguments, reason = "one call, with the parts of a login")]
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
            language: Language::default(),
            transport,
            outbox,
            waker: AtomicWaker::new(),
            expires_at_ms: AtomicI64::new(expires_at_ms),
            active_s: AtomicU32::new(clock::uptime_s()),
            ended: AtomicBool::new(false),
            books: Mutex::default(),
        }
    }

    pub(crate) fn speaking(self, language: Language) -> Self {
        Self { language, ..self }
    }

    /// Sends frames; `Full` sets the session behind.
    pub(crate) fn push(&self, frames: &[Bytes]) -> Pushed {
        self.outbox
            .push(&self.transport, frames, Class::Entries, || self.waker.wake())
    }

    /// Queues a frame for the next push or [`Self::flush`].
    pub(crate) fn queue(&self, frame: &Bytes) -> Pushed {
        self.outbox.queue(frame, Class::Entries)
    }

    pub(crate) fn flush(&self) {
        if !self.outbox.flush_unless_blocked(&self.transport) {
            self.waker.wake();
        }
    }

    // protocol: "Its answer, or its Error, carries the same number"
    /// Answers a request. Ends an app that does not read its answers.
    pub(crate) fn answer(&self, request_id: u64, body: Body) {
        let frame = frame::server(request_id, body);
        let pushed = self
            .outbox
            .push(&self.transport, &[frame], Class::Answer, || self.waker.wake());
        if pushed == Pushed::Full {
            self.end(ByeReason::Slow, 1_000, &sentences::ANSWERS_NOT_READ);
        }
    }

    /// Queues an answer for the next push or [`Self::flush`].
    pub(crate) fn queue_answer(&self, request_id: u64, body: Body) {
        let frame = frame::server(request_id, body);
        if self.outbox.queue(&frame, Class::Answer) == Pushed::Full {
            self.flush();
            if self.outbox.queue(&frame, Class::Answer) == Pushed::Full {
                self.end(ByeReason::Slow, 1_000, &sentences::ANSWERS_NOT_READ);
            }
        }
    }

    // protocol: "field of an Error is the name of the field as in the .proto file"
    pub(crate) fn refuse(&self, request_id: u64, code: ErrorCode, field: &str, message: &Sentence) {
        self.refuse_until(request_id, code, field, message, 0);
    }

    /// With a time to retry, milliseconds from now.
    pub(crate) fn refuse_until(
        &self,
        request_id: u64,
        code: ErrorCode,
        field: &str,
        message: &Sentence,
        retry_after_ms: u32,
    ) {
        events::ERRORS.increment(code.as_str_name());
        let error = Error {
            code: code as i32,
            field: field.into(),
            message: message.text(self.language).into(),
            retry_after_ms,
        };
        self.answer(request_id, Body::Error(error));
    }

    // protocol: "A Bye may come instead of any answer"
    /// Ends the session: sends Bye, then its task closes the connection. Only the first call counts.
    pub(crate) fn end(&self, reason: ByeReason, retry_after_ms: u32, detail: &Sentence) {
        self.end_with(reason, retry_after_ms, detail, CloseCode::of(reason));
    }

    /// With a close code for violations of WebSocket.
    pub(crate) fn end_with(
        &self,
        reason: ByeReason,
        retry_after_ms: u32,
        detail: &Sentence,
        close: CloseCode,
    ) {
        if self.has_ended() {
            return;
        }
        let bye = Bye {
            reason: reason as i32,
            retry_after_ms,
            detail: detail.text(self.language).into(),
            field: String::new(),
        };
        let bye = frame::server(0, Body::Bye(bye));
        if self.outbox.end(Some(bye), reason == ByeReason::Slow, Some(close)) {
            events::BYES.increment(reason.as_str_name());
            self.set_ended();
        }
    }

    /// Ends the session without Bye: the app has hung up. A WebSocket is closed with `close`, or without a code.
    pub(crate) fn hang_up(&self, close: Option<CloseCode>) {
        if !self.has_ended() && self.outbox.end(None, false, close) {
            self.set_ended();
        }
    }

    /// Only once the last frame is queued: a task that saw the end earlier would close the connection without it.
    fn set_ended(&self) {
        self.ended.store(true, Ordering::Release);
        self.outbox.flush(&self.transport);
        self.waker.wake();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    // protocol: "Send something at least every heartbeat_s"
    pub(crate) fn touch(&self) {
        self.active_s.store(clock::uptime_s(), Ordering::Relaxed);
    }
}

impl Receiver for Arc<Session> {
    fn id(&self) -> u64 {
        self.id
    }

    fn user(&self) -> UserId {
        self.user
    }

    fn books(&self) -> &Mutex<Books> {
        &self.books
    }

    fn push(&self, frames: &[Bytes]) -> Pushed {
        Session::push(self, frames)
    }

    fn queue(&self, frame: &Bytes) -> Pushed {
        Session::queue(self, frame)
    }

    fn flush(&self) {
        Session::flush(self);
    }

    fn has_capacity(&self) -> bool {
        self.outbox.has_capacity()
    }

    fn wake(&self) {
        self.waker.wake();
    }
}
