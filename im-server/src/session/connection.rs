//! The task of one connection. While nothing happens it owns no buffer: bytes are read into a buffer of the thread, and
//! only the beginning of an unfinished frame is kept; a request that has to wait is a future of its own, boxed, and
//! nothing more is read from the socket until it is done. A session over its rate, or with too many answers owed, waits in
//! the same way: TCP passes the pause on to the app.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    io,
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, Bytes};
use proto::{
    frame::FrameReader,
    wire::{ByeReason, ClientFrame, ErrorCode, client_frame},
};
use tokio::net::TcpStream;

use super::{
    Session,
    cutter::{Cut, Cutter, NoFrame},
    rate::{Bucket, OncePerSecond},
    sending::{Sending, room_for_answers},
};
use crate::{
    login::{self, Established},
    node::{clock, sentences, shared::Shared},
    request::{self, Caller, Handled, Pending},
    settings::Door,
    transport::websocket::CloseCode,
};

/// Bytes read at once; the buffer belongs to the thread.
const READ_BYTES: usize = 64 * 1024;
/// How long an ended session may take to read its last frames.
const FINISH_LIMIT: Duration = Duration::from_secs(2);
/// Requests other than messages that a session may make in a second.
const REQUESTS_PER_S: u32 = 50;

thread_local! {
    static READ_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// Serves one connection to its end.
pub(crate) fn serve(
    shared: Arc<Shared>,
    stream: TcpStream,
    peer: IpAddr,
    door: Door,
) -> impl Future<Output = ()> + Send {
    // In a box of its own, with all that only a login needs: the box goes when it is done.
    let login = Box::pin(login::log_in(shared.clone(), stream, peer, door));
    async move {
        let Some(Established {
            session,
            rest,
            websocket,
        }) = login.await
        else {
            return;
        };
        let mut task = Task {
            cutter: match websocket {
                None => Cutter::Length(FrameReader::default()),
                Some(reader) => Cutter::WebSocket(reader),
            },
            rest: rest.into(),
            request: None,
            put_off: None,
            finish: None,
            sending: None,
            sends: Bucket::full(shared.settings.sends_per_s, clock::uptime_ms()),
            requests: Bucket::full(REQUESTS_PER_S, clock::uptime_ms()),
            typing: OncePerSecond::default(),
            shared,
            session,
        };
        poll_fn(|cx| task.poll(cx)).await;
        // Boxed with what is left to do: it should not make every idle connection larger.
        Box::pin(end(task)).await;
    }
}

/// Takes a connection that is over out of everything, and lets the app read its last frames.
async fn end(mut task: Task) {
    task.request = None;
    leave(&task.shared, &task.session);
    let finish = task.session.outbox.finish(&task.session.transport);
    let _ = tokio::time::timeout(FINISH_LIMIT, finish).await;
}

/// Takes a session out of everything that knows it.
fn leave(shared: &Shared, session: &Arc<Session>) {
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

struct Task {
    shared: Arc<Shared>,
    session: Arc<Session>,
    cutter: Cutter,
    /// Bytes that came behind a request that waits: at most what is read at once.
    rest: Bytes,
    request: Option<Pending>,
    /// A request that came too soon, and is handled next.
    put_off: Option<Box<ClientFrame>>,
    /// Nothing more is taken; the session ends when its sends are answered.
    finish: Option<Finish>,
    /// Made at the first send.
    sending: Option<Arc<Sending>>,
    sends: Bucket,
    requests: Bucket,
    typing: OncePerSecond,
}

/// Why nothing more is taken from an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finish {
    /// It will send no more.
    HungUp,
    /// It closes its WebSocket, which is closed with this in turn.
    Closed(Option<CloseCode>),
    LoggedOut,
}

impl Task {
    /// Does what there is to do; ready when the connection is to be closed.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
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
                // The node did not read meanwhile, so the app may have spoken.
                self.session.heard();
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
            if let Some(put_off) = self.put_off.take() {
                self.handle(*put_off);
                continue;
            }
            if !self.has_room_for_answer() {
                metrics::counter!("huizhen_im_pauses_total", "reason" => "answers").increment(1);
                let room = room_for_answers(self.session.clone(), self.sending.clone());
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
                        tracing::debug!(%error, session = self.session.id, "the connection broke");
                        return Poll::Ready(());
                    }
                },
            }
        }
    }

    /// Ends a session of which nothing more is taken, once its sends are answered.
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

    /// Whether the answer to one more request finds room, beside those that are owed.
    fn has_room_for_answer(&self) -> bool {
        let owed = self.sending.as_ref().map_or(0, |sending| sending.owed());
        self.session.outbox.has_room_for_answers(owed + 1)
    }

    fn read(&mut self) -> io::Result<usize> {
        READ_BUFFER.with_borrow_mut(|buffer| {
            let read = self.session.transport.try_read(buffer)?;
            let taken = self.take(&buffer[..read]);
            self.rest = Bytes::copy_from_slice(&buffer[taken..read]);
            Ok(read)
        })
    }

    /// Takes bytes up until they are used or a request has to wait. Gives how many were taken.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let limit = self.shared.settings.max_frame_bytes as usize;
        let mut input = bytes;
        while self.request.is_none()
            && self.finish.is_none()
            && !self.session.has_ended()
            && self.has_room_for_answer()
        {
            match self.cutter.next(&mut input, limit) {
                Ok(Some(Cut::Frame(frame))) => self.handle(frame),
                Ok(Some(Cut::Ping(pong))) => {
                    self.session.outbox.queue_bare(pong);
                    self.session.flush();
                    self.session.heard();
                }
                Ok(Some(Cut::Close(code))) => self.finish = Some(Finish::Closed(code)),
                Ok(None) => break,
                Err(NoFrame { detail, close }) => {
                    self.session.end_with(ByeReason::BadFrame, 0, &detail, close);
                }
            }
        }
        bytes.len() - input.len()
    }

    /// Whether a request may be handled now. A session over its rate is not read until it may: refused messages would have
    /// to be sent again, and would come behind later ones.
    fn admit(&mut self, body: &client_frame::Body) -> Result<(), Duration> {
        use client_frame::Body as Request;

        match body {
            Request::Send(_) | Request::Recall(_) => self
                .sends
                .take(self.shared.settings.sends_per_s, clock::uptime_ms()),
            Request::Ping(_) | Request::Logout(_) => Ok(()),
            _ => self.requests.take(REQUESTS_PER_S, clock::uptime_ms()),
        }
    }

    fn handle(&mut self, frame: ClientFrame) {
        // Only a whole frame counts: bytes that dribble keep no session alive.
        self.session.heard();
        let ClientFrame { request_id, body } = frame;
        let Some(body) = body else {
            let message = &sentences::UNKNOWN_REQUEST;
            self.session
                .refuse(request_id, ErrorCode::Unsupported, "", message);
            return;
        };
        if let Err(wait) = self.admit(&body) {
            metrics::counter!("huizhen_im_pauses_total", "reason" => "rate").increment(1);
            let body = Some(body);
            self.put_off = Some(Box::new(ClientFrame { request_id, body }));
            self.request = Some(Box::pin(tokio::time::sleep(wait)));
            return;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn future_bytes<A, B, C, D, F: Future>(_: impl Fn(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }

    /// What an idle connection owns: grows by accident, and then by a million. Beyond these a task (with the runtime's
    /// own 104 bytes, in steps of 128) and a session (with its counts, up to 320) take the allocator's next size.
    #[test]
    fn an_idle_connection_is_small() {
        assert!(future_bytes(serve) <= 264, "{}", future_bytes(serve));
        assert!(size_of::<Session>() <= 304, "{}", size_of::<Session>());
    }
}
