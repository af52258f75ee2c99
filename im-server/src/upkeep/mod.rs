//! Tasks that run beside the sessions for as long as the node does. Each waits for one thing: a database that hangs
//! delays marks and comparisons, nothing else.

mod compare;
pub(crate) mod directory;
mod housekeeping;
mod lag;
pub(crate) mod marks;
mod renewal;
mod sessions;
pub(crate) mod twin;

use std::{sync::Arc, time::Duration};

use backplane::NodeAddress;
use telemetry::task::{Name, vital};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::shared::Shared;

/// Starts the tasks; they end when the node drains or stops.
pub(crate) fn start(shared: &Arc<Shared>, address: NodeAddress) {
    vital(Name::NodeDirectory, directory::run(shared.clone(), address));
    vital(Name::NodeSessions, sessions::run(shared.clone()));
    vital(Name::NodeMarks, marks::run(shared.clone()));
    vital(Name::NodeCompare, compare::run(shared.clone()));
    vital(Name::NodeHousekeeping, housekeeping::run(shared.clone()));
    vital(Name::NodeLag, lag::run(shared.clone()));
    vital(Name::NodeRenewal, renewal::run(shared.clone()));
}

/// A timer that delays missed ticks instead of repeating them.
fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
