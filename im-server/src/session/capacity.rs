//! Awaiting capacity in the outbox of a session.

use std::{future::poll_fn, task::Poll};

use bytes::Bytes;

use super::{Session, outbox::Outbox};
use crate::delivery::Pushed;

/// Waits until a session's outbox has capacity for a page. The session's task polls again whenever its socket drains.
///
/// # Errors
/// When the session has ended.
pub(crate) async fn outbox_capacity(session: &Session) -> Result<(), Ended> {
    outbox_until(session, Outbox::has_capacity).await
}

/// Waits until the outbox is empty; then it accepts a frame of any size.
///
/// # Errors
/// When the session has ended.
pub(crate) async fn outbox_empty(session: &Session) -> Result<(), Ended> {
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

/// Sends frames one by one as capacity allows.
///
/// # Errors
/// When the session has ended.
pub(crate) async fn push_all(session: &Session, frames: Vec<Bytes>) -> Result<(), Ended> {
    for frame in frames {
        // Leaves most of the outbox to live entries of other conversations.
        if !session.outbox.has_capacity() {
            outbox_capacity(session).await?;
        }
        // A frame that does not fit beside a short queue awaits an empty one: awaiting capacity would return at once
        // and spin.
        while session.queue(&frame) == Pushed::Full {
            outbox_empty(session).await?;
        }
        if session.has_ended() {
            return Err(Ended);
        }
    }
    session.flush();
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended;

#[cfg(test)]
mod tests {
    use std::{future::Future, sync::Arc, task::Context, time::Duration};

    use proto::wire::{Pong, server_frame::Body};
    use tokio::net::TcpStream;

    use super::*;
    use crate::{session::outbox::Framing, transport::Transport};

    /// A long frame behind a short queue on a blocked socket awaits an empty outbox, and does not spin.
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
            Outbox::new(Framing::Length),
            i64::MAX,
        ));
        let short = proto::frame::server(1, Body::Pong(Pong::default()));
        while !session.outbox.is_blocked() {
            assert_eq!(session.push(std::slice::from_ref(&short)), Pushed::Taken);
        }
        assert!(session.outbox.has_capacity() && !session.outbox.is_empty());
        let (pending, is_pending) = std::sync::mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let mut push = Box::pin(push_all(&session, vec![Bytes::from(vec![0; 60_000])]));
            let mut cx = Context::from_waker(std::task::Waker::noop());
            let _ = pending.send(push.as_mut().poll(&mut cx).is_pending());
        });
        assert_eq!(is_pending.recv_timeout(Duration::from_secs(60)), Ok(true));
        drop(peer);
    }
}
