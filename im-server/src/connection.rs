//! The task of one connection. While nothing happens it owns no buffer: bytes are read into a buffer of the thread, and
//! only the beginning of an unfinished frame is kept; a request that has to wait is a future of its own, boxed, and
//! nothing more is read from the socket until it is done.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    io,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use prost::Message;
use proto::{
    frame::FrameReader,
    wire::{ByeReason, ClientFrame, ErrorCode, Pong, client_frame, server_frame::Body},
};
use tokio::net::TcpStream;

use crate::{
    clock,
    limits::{AddressPlace, Bucket},
    listen::Door,
    login::{self, Established},
    node::Shared,
    outbox::Pushed,
    request,
    session::Session,
    transport::websocket::{self, Incoming},
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

/// A request that has to wait for something.
pub(crate) type Pending = Pin<Box<dyn Future<Output = ()> + Send>>;

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
            place,
        }) = login.await
        else {
            return;
        };
        let mut task = Task {
            cutter: match websocket {
                None => Cutter::Length(FrameReader::default()),
                Some(reader) => Cutter::WebSocket(reader),
            },
            rest,
            request: None,
            sends: Bucket::full(shared.settings.sends_per_s, clock::uptime_ms()),
            requests: Bucket::full(REQUESTS_PER_S, clock::uptime_ms()),
            shared,
            session,
            _place: place,
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
    let finish = login::finish(&task.session.transport, &task.session.outbox);
    let _ = tokio::time::timeout(FINISH_LIMIT, finish).await;
}

/// Takes a session out of everything that knows it.
fn leave(shared: &Shared, session: &Arc<Session>) {
    session.hang_up();
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
    /// Bytes that came behind a request that waits.
    rest: Vec<u8>,
    request: Option<Pending>,
    sends: Bucket,
    requests: Bucket,
    /// Its place among the connections of its address.
    _place: AddressPlace,
}

/// Cuts bytes into frames.
enum Cutter {
    Length(FrameReader),
    WebSocket(Box<websocket::Reader>),
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
                continue;
            }
            if !self.rest.is_empty() {
                let rest = std::mem::take(&mut self.rest);
                self.take(&rest);
                continue;
            }
            if self.session.books.lock().has_to_feed() && !self.session.outbox.is_blocked() {
                let (shared, session) = (self.shared.clone(), self.session.clone());
                self.request = Some(Box::pin(request::sync::look_after(shared, session)));
                continue;
            }
            match self.session.transport.poll_readable(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(())) => match self.read() {
                    Ok(0) => return Poll::Ready(()),
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

    fn read(&mut self) -> io::Result<usize> {
        READ_BUFFER.with_borrow_mut(|buffer| {
            let read = self.session.transport.try_read(buffer)?;
            if read > 0 {
                self.session.heard();
                self.take(&buffer[..read]);
            }
            Ok(read)
        })
    }

    /// Takes bytes up until they are used or a request has to wait.
    fn take(&mut self, mut input: &[u8]) {
        let limit = self.shared.settings.max_frame_bytes as usize;
        while self.request.is_none() && !self.session.has_ended() {
            let frame = match &mut self.cutter {
                Cutter::Length(reader) => match reader.next(&mut input, limit) {
                    Ok(Some(message)) => ClientFrame::decode(message),
                    Ok(None) => return,
                    Err(long) => {
                        let detail = format!(
                            "a frame of {} bytes is over the limit of {}",
                            long.length, long.limit
                        );
                        self.session.end(ByeReason::BadFrame, 0, &detail);
                        return;
                    }
                },
                Cutter::WebSocket(reader) => match reader.next(&mut input, limit) {
                    Ok(Some(Incoming::Message(message))) => ClientFrame::decode(message),
                    Ok(Some(Incoming::Ping(payload))) => {
                        self.session.outbox.queue_bare(websocket::pong(payload));
                        self.session.flush();
                        continue;
                    }
                    Ok(Some(Incoming::Close)) => {
                        self.session.hang_up();
                        return;
                    }
                    Ok(None) => return,
                    Err(error) => {
                        self.session.end(ByeReason::BadFrame, 0, &error.to_string());
                        return;
                    }
                },
            };
            match frame {
                Ok(frame) => self.handle(frame),
                Err(_) => self.session.end(ByeReason::BadFrame, 0, "not a ClientFrame"),
            }
        }
        self.rest.extend_from_slice(input);
    }

    /// Does what a frame asks for; every request stands here.
    fn handle(&mut self, frame: ClientFrame) {
        use client_frame::Body as Request;

        let ClientFrame { request_id, body } = frame;
        let Some(body) = body else {
            let message = "this node does not know this request; it may be newer than the node";
            self.session
                .refuse(request_id, ErrorCode::Unsupported, "", message);
            return;
        };
        let uptime_ms = clock::uptime_ms();
        let admitted = match &body {
            Request::Send(_) | Request::Recall(_) => {
                self.sends.take(self.shared.settings.sends_per_s, uptime_ms)
            }
            Request::Ping(_) | Request::Logout(_) => Ok(()),
            _ => self.requests.take(REQUESTS_PER_S, uptime_ms),
        };
        if let Err(retry_after_ms) = admitted {
            let message = "too many requests at once; wait retry_after_ms";
            self.session
                .refuse_until(request_id, ErrorCode::RateLimited, "", message, retry_after_ms);
            return;
        }
        let (shared, session) = (&self.shared, &self.session);
        self.request = match body {
            Request::Login(_) => {
                session.refuse(
                    request_id,
                    ErrorCode::Invalid,
                    "login",
                    "this connection has logged in already",
                );
                None
            }
            Request::Renew(renew) => Some(request::renew::renew(shared, session, request_id, renew)),
            Request::Ping(_) => {
                session.answer(
                    request_id,
                    Body::Pong(Pong {
                        server_time_ms: clock::now_ms(),
                    }),
                );
                None
            }
            Request::Logout(_) => {
                session.hang_up();
                None
            }
            Request::Send(send) => request::send::send(shared, session, request_id, send),
            Request::Recall(recall) => request::recall::recall(shared, session, request_id, recall),
            Request::Sync(sync) => request::sync::sync(shared, session, request_id, sync),
            Request::History(history) => request::history::history(shared, session, request_id, history),
            Request::Received(received) => request::marks::received(shared, session, request_id, received),
            Request::Read(read) => request::marks::read(shared, session, request_id, read),
            Request::Typing(typing) => request::typing::typing(shared, session, request_id, typing),
            Request::Presence(query) => request::presence::presence(shared, session, request_id, query),
            Request::CallSignal(_) => {
                let message = "this node carries no calls";
                session.refuse(request_id, ErrorCode::Unsupported, "call_signal", message);
                None
            }
        };
    }
}

/// Waits until a session's outbox has room for a page. The session's task asks again whenever its socket takes more.
///
/// # Errors
/// When the session has ended.
pub(crate) async fn room_in_outbox(session: &Session) -> Result<(), Ended> {
    poll_fn(|_| {
        session.flush();
        if session.has_ended() || session.outbox.is_broken() {
            return Poll::Ready(Err(Ended));
        }
        if session.outbox.has_room() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    })
    .await
}

/// Sends frames one by one as there is room for them.
///
/// # Errors
/// When the session has ended.
pub(crate) async fn push_when_there_is_room(session: &Session, frames: Vec<Bytes>) -> Result<(), Ended> {
    for frame in frames {
        // Never more than a part of the outbox, so that live entries of other conversations find room as well.
        if !session.outbox.has_room() {
            room_in_outbox(session).await?;
        }
        while session.queue(&frame) == Pushed::Full {
            room_in_outbox(session).await?;
        }
        if session.has_ended() {
            return Err(Ended);
        }
    }
    session.flush();
    Ok(())
}

/// The session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended;

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
