//! Scheduling lag of the runtime.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::shared::Shared;

const LAG_EVERY: Duration = Duration::from_millis(100);

/// Measures how long a ready task waits for a thread, which every acknowledgement waits in addition.
pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        let due = Instant::now() + LAG_EVERY;
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            () = tokio::time::sleep_until(due) => {}
        }
        metrics::histogram!("huizhen_im_runtime_lag_seconds").record(due.elapsed().as_secs_f64());
    }
}
