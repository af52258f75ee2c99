//! The task of one connection. While nothing happens it owns no buffer: bytes are read into a buffer of the thread, and
//! only the beginning of an unfinished frame is kept; a request that has to wait is a future of its own, boxed, and
//! nothing more is read from the socket until it is done. A session over its rate, or with too many answers owed, waits in
//! the same way: TCP passes the pause on to the app.

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

use bytes::{Buf, Bytes};
use proto::{
    frame::FrameReader,
    wire::{ByeReason, ClientFrame, ErrorCode, Pong, client_frame, server_frame::Body},
};
use tokio::net::TcpStream;

use crate::{
    clock,
    cutter::{Cut, Cutter, NoFrame},
    limits::{AddressPlace, Bucket, OncePerSecond},
    listen::Door,
    login::{self, Established},
    node::Shared,
    outbox::{Outbox, Pushed},
    request,
    sending::{Sending, room_for_answers},
    sentences,
    session::Session,
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
    /// Its place among the connections of its address.
    _place: AddressPlace,
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

    /// Does what a frame asks for; every request stands here.
    fn handle(&mut self, frame: ClientFrame) {
        use client_frame::Body as Request;

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
        let (shared, session) = (&self.shared, &self.session);
        self.request = match body {
            Request::Login(_) => {
                session.refuse(
                    request_id,
                    ErrorCode::Invalid,
                    "login",
                    &sentences::LOGGED_IN_ALREADY,
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
                self.finish = Some(Finish::LoggedOut);
                None
            }
            Request::Send(send) => {
                let sending = self.sending.get_or_insert_default();
                request::send::send(shared, session, sending, request_id, send)
            }
            Request::Recall(recall) => request::recall::recall(shared, session, request_id, recall),
            Request::Sync(sync) => request::sync::sync(shared, session, request_id, sync),
            Request::History(history) => request::history::history(shared, session, request_id, history),
            Request::Received(received) => request::marks::received(shared, session, request_id, received),
            Request::Read(read) => request::marks::read(shared, session, request_id, read),
            Request::Typing(typing) => {
                request::typing::typing(shared, session, &mut self.typing, request_id, typing)
            }
            Request::Presence(query) => request::presence::presence(shared, session, request_id, query),
            Request::CallSignal(_) => {
                session.refuse(
                    request_id,
                    ErrorCode::Unsupported,
                    "call_signal",
                    &sentences::NO_CALLS,
                );
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
    outbox_until(session, Outbox::has_room).await
}

/// Waits until nothing waits for the socket. The outbox takes a frame of any size then.
///
/// # Errors
/// When the session has ended.
pub(crate) async fn empty_outbox(session: &Session) -> Result<(), Ended> {
    outbox_until(session, Outbox::is_empty).await
}

async fn outbox_until(session: &Session, condition: impl Fn(&Outbox) -> bool) -> Result<(), Ended> {
    poll_fn(|_| {
        session.flush();
        if session.has_ended() || session.outbox.is_broken() {
            return Poll::Ready(Err(Ended));
        }
        if condition(&session.outbox) {
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
        // A frame that does not fit beside the little that waits must await the end of that: to ask for room alone would be
        // answered at once, again and again.
        while session.queue(&frame) == Pushed::Full {
            empty_outbox(session).await?;
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

    /// A socket that takes nothing and little that waits: a long frame must await the end of that, and not spin.
    #[tokio::test]
    async fn a_long_frame_awaits_the_end_of_what_waits() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        stream.writable().await.unwrap();
        let session = Arc::new(Session::new(
            1,
            proto::UserId::from_database(1),
            "device".into(),
            backplane::Generation(1),
            proto::wire::Platform::Android,
            crate::transport::Transport::plain(stream),
            Outbox::new(crate::outbox::Dress::Length),
            i64::MAX,
        ));
        let short = proto::frame::server(1, Body::Pong(Pong::default()));
        while !session.outbox.is_blocked() {
            assert_eq!(session.push(std::slice::from_ref(&short)), Pushed::Taken);
        }
        assert!(session.outbox.has_room() && !session.outbox.is_empty());
        let (pending, is_pending) = std::sync::mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let mut push = Box::pin(push_when_there_is_room(
                &session,
                vec![Bytes::from(vec![0; 60_000])],
            ));
            let mut cx = Context::from_waker(std::task::Waker::noop());
            let _ = pending.send(push.as_mut().poll(&mut cx).is_pending());
        });
        assert_eq!(is_pending.recv_timeout(Duration::from_secs(60)), Ok(true));
        drop(peer);
    }

    /// What an idle connection owns: grows by accident, and then by a million. Beyond these a task (with the runtime's
    /// own 104 bytes, in steps of 128) and a session (with its counts, up to 320) take the allocator's next size.
    #[test]
    fn an_idle_connection_is_small() {
        assert!(future_bytes(serve) <= 264, "{}", future_bytes(serve));
        assert!(size_of::<Session>() <= 304, "{}", size_of::<Session>());
    }
}
