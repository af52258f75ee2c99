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
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::shared::Shared;

/// Starts the tasks; they end when the node drains or stops.
pub(crate) fn start(shared: &Arc<Shared>, address: NodeAddress) {
    tokio::spawn(directory::run(shared.clone(), address));
    tokio::spawn(sessions::run(shared.clone()));
    tokio::spawn(marks::run(shared.clone()));
    tokio::spawn(compare::run(shared.clone()));
    tokio::spawn(housekeeping::run(shared.clone()));
    tokio::spawn(lag::run(shared.clone()));
    tokio::spawn(renewal::run(shared.clone()));
}

/// A timer that delays missed ticks instead of repeating them.
fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
