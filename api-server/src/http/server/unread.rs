//! A peer that reads nothing of what it is sent: its connection fails, since the answer would be held for ever.

use std::{
    error::Error as _,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

/// The longest time in which a peer makes no space for further bytes. A phone that loses its network while a megabyte is under
/// way first gets that again, and a proxy reads in steps of its own buffer: for both nothing new leaves for a minute.
pub(super) const UNREAD_LIMIT: Duration = Duration::from_secs(120);
/// Bytes that the kernel holds unsent for a peer. Without a limit it holds megabytes, and asks for more when a third of
/// them is gone. A slow reader would look like none.
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 64 * 1024;

/// A stream whose writes fail when the peer has not read for the limit. It lies below TLS, whose buffers hide progress.
pub(super) struct Reading<S> {
    stream: S,
    limit: Duration,
    /// Ends when the limit of the write that waits is over.
    waits: Option<Pin<Box<Sleep>>>,
}

/// Bounds what the kernel holds unsent.
#[cfg(target_os = "linux")]
pub(super) fn bound_unsent(stream: &TcpStream) {
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES) {
        tracing::debug!(%error, "TCP_NOTSENT_LOWAT could not be set");
    }
}

/// Other systems have no such limit.
#[cfg(not(target_os = "linux"))]
pub(super) fn bound_unsent(_: &TcpStream) {}

/// Whether a connection ended by the limit.
pub(super) fn is_cause(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::TimedOut)
}

/// Closes a connection by a reset: the kernel keeps nothing for the peer, which cannot take a cut answer for a whole one.
pub(super) fn reset(stream: &TcpStream) {
    if let Err(error) = stream.set_zero_linger() {
        tracing::debug!(%error, "SO_LINGER could not be set");
    }
}

impl<S> Reading<S> {
    pub(super) fn get_ref(&self) -> &S {
        &self.stream
    }

    pub(super) fn new(stream: S, limit: Duration) -> Self {
        Self {
            stream,
            limit,
            waits: None,
        }
    }

    /// The outcome of a write, or its failure when it has waited for too long.
    fn within_limit(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if outcome.is_ready() {
            self.waits = None;
            return outcome;
        }
        let limit = self.limit;
        let waits = self.waits.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(waits.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the peer does not read",
        )))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Reading<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

/// A flush or shutdown of a socket never waits; those of TLS write first.
impl<S: AsyncWrite + Unpin> AsyncWrite for Reading<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.within_limit(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.within_limit(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_write_fails_when_nothing_was_read_for_the_limit() {
        let (mut peer, stream) = tokio::io::duplex(64);
        let mut stream = Reading::new(stream, UNREAD_LIMIT);
        let begun = tokio::time::Instant::now();
        let sent = async { stream.write_all(&[7; 1_000]).await.unwrap_err() };
        let reading = async {
            let mut some = [0; 10];
            for _ in 0..20 {
                sleep(UNREAD_LIMIT - Duration::from_secs(1)).await;
                peer.read_exact(&mut some).await.unwrap();
            }
            begun.elapsed()
        };
        let (failure, read_for) = tokio::join!(sent, reading);
        assert_eq!(failure.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed(), read_for + UNREAD_LIMIT);
    }
}
