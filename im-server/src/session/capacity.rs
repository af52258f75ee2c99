//! Waiting until the outbox of a session has capacity.

use std::{future::poll_fn, task::Poll};

use bytes::Bytes;

use super::{
    Session,
    outbox::Outbox,
};
use crate::delivery::Pushed;

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
    use std::{future::Future, sync::Arc, task::Context, time::Duration};

    use proto::wire::{Pong, server_frame::Body};
    use tokio::net::TcpStream;

    use super::*;
    use crate::{session::outbox::Dress, transport::Transport};

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
            Transport::plain(stream),
            Outbox::new(Dress::Length),
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
}
