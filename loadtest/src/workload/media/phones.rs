//! The threads of the workers. Hashing and comparing are the work of phones, which share no processor with the server.
//! They must not delay the chat whose times are measured.

use std::future::Future;

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// A runtime whose threads give way to all others.
pub(super) struct Phones(Option<Runtime>);

impl Phones {
    pub(super) fn new() -> Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).thread_name("phones").enable_all();
        let runtime = builder.on_thread_start(media::give_way).build();
        Ok(Self(Some(runtime.context("the workers have no threads")?)))
    }

    /// Starts a worker.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        match &self.0 {
            Some(runtime) => runtime.spawn(work),
            None => tokio::spawn(work),
        }
    }
}

impl Drop for Phones {
    fn drop(&mut self) {
        // A runtime that waits for its tasks must not be dropped within another one.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
