//! Publishing without waiting: commands wait in a bounded queue, and one task sends them in batches.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use ::redis::{Cmd, Pipeline, RedisError};
use telemetry::{
    events::backplane::{LOST, PUBLISHED},
    task::{self, Name},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::routes::Routes;
use crate::redis::link::Link;

/// Capacity of the queue, commands.
const WAITING: usize = 64 * 1024;
/// Capacity of the queue, bytes.
const WAITING_BYTES: usize = 64 * 1024 * 1024;
/// Commands of one batch.
const TOGETHER: usize = 512;

/// The handle.
pub(crate) struct Publisher {
    link: Arc<Link>,
    queue: mpsc::Sender<(Cmd, usize)>,
    bytes: Arc<AtomicUsize>,
}

impl Publisher {
    pub(crate) fn start(link: Arc<Link>, routes: Arc<Routes>, stop: CancellationToken) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING);
        let bytes = Arc::new(AtomicUsize::new(0));
        let work = work(link.clone(), routes, waiting, bytes.clone());
        task::vital_until(Name::RedisPublisher, stop.cancelled_owned(), work);
        Self { link, queue, bytes }
    }

    /// Queues a command; `bytes` is about its size. While Redis is away it is dropped (`away`), and so it is when the queue is
    /// full (`full`).
    pub(crate) fn send(&self, command: Cmd, bytes: usize) {
        if self.link.now().is_none() {
            return count_lost("away", 1);
        }
        if self.bytes.fetch_add(bytes, Ordering::Relaxed) > WAITING_BYTES
            || self.queue.try_send((command, bytes)).is_err()
        {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            count_lost("full", 1);
        }
    }
}

/// Counts dropped commands, with the reason.
pub(crate) fn count_lost(why: &'static str, commands: usize) {
    LOST.add(why, commands as u64);
}

async fn work(
    link: Arc<Link>,
    routes: Arc<Routes>,
    mut waiting: mpsc::Receiver<(Cmd, usize)>,
    bytes: Arc<AtomicUsize>,
) {
    let mut batch = Vec::with_capacity(TOGETHER);
    while waiting.recv_many(&mut batch, TOGETHER).await > 0 {
        let count = batch.len();
        let mut together = Pipeline::with_capacity(count);
        for (command, size) in batch.drain(..) {
            bytes.fetch_sub(size, Ordering::Relaxed);
            together.add_command(command);
        }
        // A refused command does not affect the others.
        let answers = match link.now() {
            Some(live) => live.run_each(together).await.unwrap_or_default(),
            None => Vec::new(),
        };
        if answers.is_empty() {
            count_lost("away", count);
            continue;
        }
        // Comparing with the database recovers publications that met a master without their slot.
        let moved = answers
            .iter()
            .filter(|answer| answer.as_ref().is_err_and(RedisError::is_cluster_error))
            .count();
        PUBLISHED.add((count - moved) as u64);
        if moved > 0 {
            count_lost("moved", moved);
            routes.look.notify_one();
        }
    }
}
