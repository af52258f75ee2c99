//! How late the runtime is.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::node::shared::Shared;

/// How often it is measured how late the runtime is.
const LAG_EVERY: Duration = Duration::from_millis(100);

/// Measures how long a task that is ready waits for a thread: what every acknowledgement waits in addition.
pub(super) async fn keep_measuring(shared: Arc<Shared>) {
    loop {
        let due = Instant::now() + LAG_EVERY;
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            () = tokio::time::sleep_until(due) => {}
        }
        metrics::histogram!("huizhen_im_runtime_lag_seconds").record(due.elapsed().as_secs_f64());
    }
}
