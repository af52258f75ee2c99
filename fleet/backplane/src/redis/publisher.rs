//! Publishing without waiting: what is published waits in a bounded queue, and one task sends what waits together.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use ::redis::{Cmd, Pipeline, RedisError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{link::Link, routes::Routes};

/// Commands that wait.
const WAITING: usize = 64 * 1024;
/// Their bytes.
const WAITING_BYTES: usize = 64 * 1024 * 1024;
/// Commands sent together.
const TOGETHER: usize = 512;

/// The handle.
pub(super) struct Publisher {
    link: Arc<Link>,
    queue: mpsc::Sender<(Cmd, usize)>,
    bytes: Arc<AtomicUsize>,
}

impl Publisher {
    pub(super) fn start(link: Arc<Link>, routes: Arc<Routes>, stop: CancellationToken) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING);
        let bytes = Arc::new(AtomicUsize::new(0));
        let work = work(link.clone(), routes, waiting, bytes.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
        });
        Self { link, queue, bytes }
    }

    /// Sends a command some time; `bytes` is about its size. While Redis is away it is let go at once.
    pub(super) fn send(&self, command: Cmd, bytes: usize) {
        if self.link.now().is_none() {
            return lost("away", 1);
        }
        if self.bytes.fetch_add(bytes, Ordering::Relaxed) > WAITING_BYTES
            || self.queue.try_send((command, bytes)).is_err()
        {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            lost("full", 1);
        }
    }
}

/// Counts what was let go.
pub(super) fn lost(why: &'static str, commands: usize) {
    metrics::counter!("huizhen_backplane_lost_total", "why" => why).increment(commands as u64);
}

async fn work(
    link: Arc<Link>,
    routes: Arc<Routes>,
    mut waiting: mpsc::Receiver<(Cmd, usize)>,
    bytes: Arc<AtomicUsize>,
) {
    let mut taken = Vec::with_capacity(TOGETHER);
    while waiting.recv_many(&mut taken, TOGETHER).await > 0 {
        let count = taken.len();
        let mut together = Pipeline::with_capacity(count);
        for (command, size) in taken.drain(..) {
            bytes.fetch_sub(size, Ordering::Relaxed);
            together.add_command(command);
        }
        // A refusal of one says nothing about the others.
        let answers = match link.now() {
            Some(live) => live.run_each(together).await.unwrap_or_default(),
            None => Vec::new(),
        };
        if answers.is_empty() {
            lost("away", count);
            continue;
        }
        // Comparing with the database makes good what was sent to a master that does not have the slot any more.
        let moved = answers
            .iter()
            .filter(|answer| answer.as_ref().is_err_and(RedisError::is_cluster_error))
            .count();
        metrics::counter!("huizhen_backplane_published_total").increment((count - moved) as u64);
        if moved > 0 {
            lost("moved", moved);
            routes.look.notify_one();
        }
    }
}
