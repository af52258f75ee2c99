//! The end of a connection whose peer is still sending. A close with unread bytes resets the connection, and the peer loses
//! the answer: the refusal of its upload.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// The longest wait for the peer's next bytes.
const IDLE: Duration = Duration::from_secs(5);
/// The longest wait in all.
const LONGEST: Duration = Duration::from_secs(30);
/// The longest wait once the service ends.
const AT_THE_END: Duration = Duration::from_secs(1);

/// Whether a connection has a body that nobody read to its end. Cloning shares it.
#[derive(Clone, Default)]
pub(super) struct Unread(Arc<AtomicBool>);

impl Unread {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A request's body, which notes when it is dropped unread.
pub(super) struct Watched {
    body: Incoming,
    has_ended: bool,
    unread: Unread,
}

impl Watched {
    pub(super) fn new(body: Incoming, unread: Unread) -> Self {
        Self {
            body,
            has_ended: false,
            unread,
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.has_ended && !self.body.is_end_stream() {
            self.unread.0.store(true, Ordering::Relaxed);
        }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.has_ended |= frame.is_none();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Reads what the peer still sends, until it closes its side, is silent, or has sent for long enough. Our side is shut down.
pub(super) async fn linger(mut stream: impl AsyncRead + Unpin, shutdown: &CancellationToken) {
    let drained = async {
        let mut unread = vec![0; 8 * 1024];
        while let Ok(Ok(1..)) = timeout(IDLE, stream.read(&mut unread)).await {}
    };
    let ending = async {
        shutdown.cancelled().await;
        sleep(AT_THE_END).await;
    };
    tokio::select! {
        _ = timeout(LONGEST, drained) => {}
        () = ending => {}
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use axum::{Router, routing::any};
    use tokio::{
        io::AsyncWriteExt,
        net::{TcpListener, TcpStream},
    };

    use super::{super::*, *};
    use crate::settings::Settings;

    /// More than the buffers of both sockets hold.
    const BYTES: usize = 32 * 1024 * 1024;

    /// Sends a request with its bytes, reads on behind it, and returns what came.
    async fn exchange(head: &str, sent: usize) -> io::Result<Vec<u8>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut peer = TcpStream::connect(listener.local_addr()?).await?;
        let shutdown = CancellationToken::new();
        let router = Router::new()
            .route("/refused", any(|| async { "refused" }))
            .route("/long", any(|| async { vec![b'x'; BYTES] }));
        let limits = ConnectionLimits::new(&Settings::default());
        let running = tokio::spawn(run(listener.into(), router, limits, shutdown.clone()));
        let talk = async {
            peer.write_all(head.as_bytes()).await?;
            peer.write_all(&vec![b'7'; sent]).await?;
            let mut answer = Vec::new();
            peer.read_to_end(&mut answer).await?;
            io::Result::Ok(answer)
        };
        let answer = timeout(Duration::from_secs(60), talk).await??;
        drop(peer);
        shutdown.cancel();
        let ended = timeout(Duration::from_secs(60), running).await?;
        ended.unwrap().unwrap();
        Ok(answer)
    }

    #[tokio::test]
    async fn a_peer_that_sends_a_refused_body_gets_the_answer() {
        let head = format!("PUT /refused HTTP/1.1\r\nhost: x\r\ncontent-length: {BYTES}\r\n\r\n");
        let answer = exchange(&head, BYTES).await.unwrap();
        assert!(answer.ends_with(b"refused"));
    }

    #[tokio::test]
    async fn a_peer_that_sends_a_refused_head_gets_the_answer() {
        let answer = exchange("GET / HTTP/1.1\r\nx: ", 1024 * 1024).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 431 "));
    }

    #[tokio::test]
    async fn a_long_answer_beside_an_unread_body_is_whole() {
        let head = "GET /long HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n";
        let answer = exchange(head, 4).await.unwrap();
        assert!(
            answer.len() > BYTES && answer.ends_with(b"xxx"),
            "{}",
            answer.len()
        );
    }

    /// How long a connection lingers whose peer sends a byte each 100 ms, by a clock that nobody waits for.
    async fn lingered(shutdown: &CancellationToken) -> Duration {
        let (mut peer, stream) = tokio::io::duplex(64);
        let begun = tokio::time::Instant::now();
        let sending = async {
            while peer.write_all(b"7").await.is_ok() {
                sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::select! {
            () = sending => unreachable!("it is open"),
            () = linger(stream, shutdown) => begun.elapsed(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_sends_on_is_left_and_sooner_when_the_service_ends() {
        let shutdown = CancellationToken::new();
        let whole = lingered(&shutdown).await;
        assert!((LONGEST..LONGEST + IDLE).contains(&whole), "{whole:?}");
        shutdown.cancel();
        let at_the_end = lingered(&shutdown).await;
        assert!(at_the_end < 2 * AT_THE_END, "{at_the_end:?}");
    }
}
