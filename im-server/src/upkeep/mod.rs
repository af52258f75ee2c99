//! Tasks that run beside the sessions for as long as the node does. Each waits for one thing only: a database that hangs
//! holds up marks and comparisons, and nothing else.

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

use crate::node::shared::Shared;

/// Starts them; they end when the node drains or has stopped.
pub(crate) fn start(shared: &Arc<Shared>, address: NodeAddress) {
    tokio::spawn(directory::keep_announcing(shared.clone(), address));
    tokio::spawn(sessions::keep_ending(shared.clone()));
    tokio::spawn(marks::keep_saving(shared.clone()));
    tokio::spawn(compare::keep_comparing(shared.clone()));
    tokio::spawn(housekeeping::keep_house(shared.clone()));
    tokio::spawn(lag::keep_measuring(shared.clone()));
    tokio::spawn(renewal::keep_renewing(shared.clone()));
}

/// Ticks that are late rather than many.
fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
