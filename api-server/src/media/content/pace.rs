//! The pace of an upload: a connection that brings one byte a second is cut off.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use media::store::Broken;
use tokio::time::{Instant, timeout};

use crate::http::error::ErrorCode;

/// How long the sender may be silent in all, whatever it has sent.
const GRACE: Duration = Duration::from_secs(ErrorCode::MediaTooSlow.limit().unsigned_abs());
/// The bytes that earn a further second: fewer than a phone at the edge of a cell brings.
const BYTES_PER_S: u64 = 8 * 1024;

/// Whether an upload was cut off for its pace.
#[derive(Clone, Default)]
pub(super) struct Slow(Arc<AtomicBool>);

impl Slow {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The bytes of a request while its sender keeps the pace. The time of the store does not count.
pub(super) fn paced(body: Body, slow: Slow) -> impl Stream<Item = Result<Bytes, Broken>> + Send {
    struct Sender {
        pieces: axum::body::BodyDataStream,
        received: u64,
        waited: Duration,
        slow: Slow,
    }
    let sender = Sender {
        pieces: body.into_data_stream(),
        received: 0,
        waited: Duration::ZERO,
        slow,
    };
    stream::try_unfold(sender, |mut sender| async {
        let earned = Duration::from_millis(sender.received.saturating_mul(1000) / BYTES_PER_S);
        let left = (GRACE + earned).saturating_sub(sender.waited);
        let began = Instant::now();
        let Ok(piece) = timeout(left, sender.pieces.next()).await else {
            sender.slow.0.store(true, Ordering::Relaxed);
            return Err(Broken);
        };
        sender.waited += began.elapsed();
        match piece {
            None => Ok(None),
            Some(Err(_)) => Err(Broken),
            Some(Ok(bytes)) => {
                sender.received += bytes.len() as u64;
                Ok(Some((bytes, sender)))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body that brings this many bytes in each of these seconds.
    fn body(bytes: usize, seconds: usize) -> Body {
        let pieces = stream::unfold(0, move |at| async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let piece = Ok::<_, std::io::Error>(Bytes::from(vec![7; bytes]));
            (at < seconds).then_some((piece, at + 1))
        });
        Body::from_stream(pieces)
    }

    async fn received(body: Body) -> (usize, bool) {
        let slow = Slow::default();
        let pieces: Vec<_> = paced(body, slow.clone()).collect().await;
        let bytes = pieces.iter().flatten().map(Bytes::len).sum();
        assert_eq!(pieces.iter().any(Result::is_err), slow.is_set());
        (bytes, slow.is_set())
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_a_second_is_cut_off_and_a_slow_phone_is_not() {
        let (bytes, slow) = received(body(1, 1000)).await;
        assert!(slow && bytes < 12, "{bytes}");
        assert_eq!(received(body(10 * 1024, 300)).await, (300 * 10 * 1024, false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_sender_is_cut_off() {
        let body = Body::from_stream(stream::pending::<std::io::Result<Bytes>>());
        assert_eq!(received(body).await, (0, true));
    }
}
