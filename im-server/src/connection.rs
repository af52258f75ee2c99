//! The task of one connection. An idle task owns no buffer: bytes are read into a buffer of the thread, and only the
//! beginning of an incomplete frame is kept. A request that waits is a boxed future, and the socket is not read until
//! it is done. A session over its rate, or with too many unanswered requests, waits in the same way: TCP propagates
//! the pause to the app.

use std::{
    cell::RefCell,
    io,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, Bytes};
use proto::{
    frame::FrameReader,
    websocket::{self, CloseCode},
    wire::{ByeReason, ClientFrame, ErrorCode, client_frame},
};
use telemetry::events::im::{self as events, Event};

use crate::{
    clock,
    request::{self, Caller, Handled, Pending},
    sentences,
    session::{
        Session,
        decoder::{Decoded, Decoder, Malformed},
        rate::{Bucket, OncePerSecond},
        sending::{Sending, capacity_for_answers},
    },
    shared::Shared,
};

/// Bytes per read; the buffer belongs to the thread.
const READ_BYTES: usize = 64 * 1024;
/// Longest time that an ended session may take to read its last frames.
const FINISH_LIMIT: Duration = Duration::from_secs(2);
// protocol: "50 a second, 250 at once"
/// Requests a second of one session, messages excluded.
const REQUESTS_PER_S: u32 = 50;
// protocol: "500 a second, 2,500 at once"
/// Pings and unknown requests a second of one session: each costs an answer.
const PINGS_PER_S: u32 = 500;

thread_local! {
    static READ_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// A connection that has logged in.
pub(crate) struct Established {
    pub(crate) session: Arc<Session>,
    /// Bytes behind the login.
    pub(crate) rest: Vec<u8>,
    /// The state of WebSocket framing.
    pub(crate) websocket: Option<Box<websocket::Reader>>,
}

/// Deregisters a session from the node.
fn deregister(shared: &Shared, session: &Arc<Session>) {
    session.hang_up(Some(CloseCode::NORMAL));
    shared.users.remove(session, &shared.backplane, shared.subscriber);
    let attached = session.books.lock().take_attached();
    for conversation in attached {
        if let Some(room) = shared.rooms.get(conversation) {
            room.detach(session, None, clock::uptime_s());
        }
    }
    shared.backplane.release_session(
        session.user,
        &session.device_id,
        session.generation,
        clock::now_ms(),
    );
    shared.limits.end_session();
}

pub(crate) struct Connection {
    shared: Arc<Shared>,
    session: Arc<Session>,
    decoder: Decoder,
    /// Bytes behind a request that waits: at most one read.
    rest: Bytes,
    request: Option<Pending>,
    /// Over the rate, handled next. Boxed: an idle connection has none.
    deferred: Option<Box<Deferred>>,
    /// The session reads no more, and ends when its sends are answered.
    finish: Option<Finish>,
    /// Created by the first send.
    sending: Option<Arc<Sending>>,
    sends: Bucket,
    requests: Bucket,
    pings: Bucket,
    typing: OncePerSecond,
}

/// A frame that waits until the rate admits it.
enum Deferred {
    Request(ClientFrame),
    /// The answer to a ping of a WebSocket.
    Pong(Bytes),
}

/// Why a session reads no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finish {
    /// The app has closed its side.
    HungUp,
    /// The app closes its WebSocket; carries the code of the answer.
    Closed(Option<CloseCode>),
    LoggedOut,
}

impl Connection {
    pub(crate) fn new(shared: Arc<Shared>, established: Established) -> Self {
        let Established {
            session,
            rest,
            websocket,
        } = established;
        Self {
            decoder: match websocket {
                None => Decoder::Length(FrameReader::default()),
                Some(reader) => Decoder::WebSocket(reader),
            },
            rest: rest.into(),
            request: None,
            deferred: None,
            finish: None,
            sending: None,
            sends: Bucket::full(shared.settings.sends_per_s, clock::uptime_ms()),
            requests: Bucket::full(REQUESTS_PER_S, clock::uptime_ms()),
            pings: Bucket::full(PINGS_PER_S, clock::uptime_ms()),
            typing: OncePerSecond::default(),
            shared,
            session,
        }
    }

    /// Deregisters the ended session and flushes its last frames.
    pub(crate) async fn end(mut self) {
        self.request = None;
        deregister(&self.shared, &self.session);
        let finish = self.session.outbox.finish(&self.session.transport);
        let _ = tokio::time::timeout(FINISH_LIMIT, finish).await;
    }

    /// Makes progress; ready when the connection is to be closed.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.session.waker.register(cx.waker());
        loop {
            if self.session.has_ended() || self.session.outbox.is_broken() {
                return Poll::Ready(());
            }
            while self.session.outbox.is_blocked() {
                match self.session.transport.poll_writable(cx) {
                    Poll::Ready(Ok(())) => {
                        self.session.outbox.flush(&self.session.transport);
                    }
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => break,
                }
            }
            if let Some(request) = &mut self.request {
                if request.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.request = None;
                // The app may have sent frames that were not read.
                self.session.touch();
                continue;
            }
            if let Some(finish) = self.finish {
                return self.poll_finish(finish);
            }
            if self.session.books.lock().has_to_feed() && !self.session.outbox.is_blocked() {
                let (shared, session) = (self.shared.clone(), self.session.clone());
                self.request = Some(Box::pin(request::sync::look_after(shared, session)));
                continue;
            }
            if let Some(deferred) = self.deferred.take() {
                match *deferred {
                    Deferred::Request(frame) => self.handle(frame),
                    Deferred::Pong(pong) => self.pong(pong),
                }
                continue;
            }
            if !self.has_capacity_for_answer() {
                events::PAUSES.increment("answers");
                let room = capacity_for_answers(self.session.clone(), self.sending.clone());
                self.request = Some(Box::pin(room));
                continue;
            }
            if !self.rest.is_empty() {
                let mut rest = std::mem::take(&mut self.rest);
                let taken = self.take(&rest);
                if taken < rest.len() {
                    rest.advance(taken);
                    self.rest = rest;
                }
                continue;
            }
            match self.session.transport.poll_readable(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(())) => match self.read() {
                    Ok(0) => self.finish = Some(Finish::HungUp),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => {
                        Event::ConnectionBroke {
                            error: &error,
                            session: self.session.id,
                        }
                        .emit();
                        return Poll::Ready(());
                    }
                },
            }
        }
    }

    // protocol: "It answers them as well when you close only your side"
    // protocol: "To leave, send Logout"
    // protocol: "Its earlier requests are answered first"
    /// Ends a session that reads no more, once its sends are answered.
    fn poll_finish(&self, finish: Finish) -> Poll<()> {
        if let Some(sending) = &self.sending {
            sending.set_awaited(true);
            if sending.owed() > 0 {
                return Poll::Pending;
            }
        }
        match finish {
            Finish::HungUp => self.session.hang_up(Some(CloseCode::NORMAL)),
            Finish::Closed(close) => self.session.hang_up(close),
            Finish::LoggedOut => self
                .session
                .end(ByeReason::LoggedOut, 0, &sentences::APP_LOGGED_OUT),
        }
        Poll::Ready(())
    }

    // protocol: "The same happens while 64 answers are owed to you"
    // protocol: "64; the node reads no further until some are sent"
    /// Whether one more answer fits, beside the outstanding ones.
    fn has_capacity_for_answer(&self) -> bool {
        let owed = self.sending.as_ref().map_or(0, |sending| sending.owed());
        self.session.outbox.has_capacity_for_answers(owed + 1)
    }

    fn read(&mut self) -> io::Result<usize> {
        READ_BUFFER.with_borrow_mut(|buffer| {
            let read = self.session.transport.try_read(buffer)?;
            let taken = self.take(&buffer[..read]);
            self.rest = Bytes::copy_from_slice(&buffer[taken..read]);
            Ok(read)
        })
    }

    // protocol: "Only whole frames count"
    /// Handles frames until the bytes are used up or a request waits. Returns the number of bytes used.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let limit = self.shared.settings.max_frame_bytes as usize;
        let mut input = bytes;
        while self.request.is_none()
            && self.finish.is_none()
            && !self.session.has_ended()
            && self.has_capacity_for_answer()
        {
            match self.decoder.next(&mut input, limit) {
                Ok(Some(Decoded::Frame(frame))) => self.handle(frame),
                Ok(Some(Decoded::Ping(pong))) => self.pong(pong),
                Ok(Some(Decoded::Close(code))) => self.finish = Some(Finish::Closed(code)),
                Ok(None) => break,
                Err(Malformed { detail, close }) => {
                    self.session.end_with(ByeReason::BadFrame, 0, &detail, close);
                }
            }
        }
        bytes.len() - input.len()
    }

    // protocol: "Over its rate a session is not refused"
    // protocol: "20 a second in the long run, 100 at once"
    /// Whether a request may be handled now. A session over its rate pauses: a refused message would have to be
    /// resent, behind later ones.
    fn admit(&mut self, body: Option<&client_frame::Body>) -> Result<(), Duration> {
        use client_frame::Body as Request;

        let now_ms = clock::uptime_ms();
        match body {
            Some(Request::Send(_) | Request::Recall(_)) => {
                self.sends.take(self.shared.settings.sends_per_s, now_ms)
            }
            Some(Request::Logout(_)) => Ok(()),
            Some(Request::Ping(_)) | None => self.pings.take(PINGS_PER_S, now_ms),
            Some(_) => self.requests.take(REQUESTS_PER_S, now_ms),
        }
    }

    /// Pauses until the rate admits what it defers.
    fn defer(&mut self, deferred: Deferred, wait: Duration) {
        // protocol: "Everything behind a message waits with it"
        events::PAUSES.increment("rate");
        self.deferred = Some(Box::new(deferred));
        self.request = Some(Box::pin(tokio::time::sleep(wait)));
    }

    // protocol: "A ping is answered with a pong"
    fn pong(&mut self, pong: Bytes) {
        self.session.touch();
        if let Err(wait) = self.pings.take(PINGS_PER_S, clock::uptime_ms()) {
            return self.defer(Deferred::Pong(pong), wait);
        }
        self.session.outbox.queue_control(pong);
        self.session.flush();
    }

    fn handle(&mut self, frame: ClientFrame) {
        // Only a complete frame proves that the app is alive.
        self.session.touch();
        if let Err(wait) = self.admit(frame.body.as_ref()) {
            return self.defer(Deferred::Request(frame), wait);
        }
        let ClientFrame { request_id, body } = frame;
        let Some(body) = body else {
            let message = &sentences::UNKNOWN_REQUEST;
            self.session
                .refuse(request_id, ErrorCode::Unsupported, "", message);
            return;
        };
        let caller = Caller {
            shared: &self.shared,
            session: &self.session,
            sending: &mut self.sending,
            typing: &mut self.typing,
        };
        match request::handle(caller, request_id, body) {
            Handled::Done => {}
            Handled::Waiting(request) => self.request = Some(request),
            Handled::LoggedOut => self.finish = Some(Finish::LoggedOut),
        }
    }
}
