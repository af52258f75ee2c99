//! Scheduling lag of the runtime.

use std::{sync::Arc, time::Duration};

use telemetry::{events::im::RUNTIME_LAG_S, task::Stopped};
use tokio::time::Instant;

use crate::shared::Shared;

const LAG_EVERY: Duration = Duration::from_millis(100);

/// Measures how long a ready task waits for a thread, which every acknowledgement waits in addition.
pub(super) async fn run(shared: Arc<Shared>) -> Stopped {
    loop {
        let due = Instant::now() + LAG_EVERY;
        tokio::select! {
            () = shared.stopping.cancelled() => return Stopped,
            () = tokio::time::sleep_until(due) => {}
        }
        RUNTIME_LAG_S.record(due.elapsed().as_secs_f64());
    }
}
