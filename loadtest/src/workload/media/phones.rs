//! The threads of the workers. Hashing and comparing are the work of phones, which share no processor with the server.
//! They must not delay the chat whose times are measured.

use std::future::Future;

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// A runtime whose threads give way to all others.
pub(super) struct Phones {
    handle: Handle,
    /// Until it is dropped.
    runtime: Option<Runtime>,
}

impl Phones {
    pub(super) fn new() -> Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).thread_name("phones").enable_all();
        let runtime = builder.on_thread_start(media::give_way).build();
        let runtime = runtime.context("the workers have no threads")?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    /// Starts a worker.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.handle.spawn(work)
    }
}

impl Drop for Phones {
    fn drop(&mut self) {
        // A runtime that waits for its tasks must not be dropped within another one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
