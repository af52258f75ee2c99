//! The node's record in the directory of live nodes, which `/im/servers` is answered from.

use std::{sync::Arc, time::Duration};

use backplane::{NodeAddress, NodeRecord};
use telemetry::{events::im::Event, task::Stopped};

use super::twin;
use crate::{settings::advertise, shared::Shared};

/// Interval of renewals.
const EVERY: Duration = Duration::from_secs(2);
/// Lifetime of a record: a dead node disappears from `/im/servers` within 10 s.
pub(crate) const LASTS: Duration = Duration::from_secs(8);
/// Renewals between two checks for another node of this name.
const RENEWALS_A_LOOK: u32 = 5;
/// Interval of DNS lookups of a domain name.
const LOOK_UP_EVERY: Duration = Duration::from_secs(60);

/// Writes or renews the record.
pub(crate) async fn announce(shared: &Shared, address: &NodeAddress) {
    let record = NodeRecord {
        node_id: shared.node_id.clone(),
        address: address.clone(),
        sessions: u64::from(shared.limits.sessions()),
        version: env!("CARGO_PKG_VERSION").into(),
        process: shared.process.clone(),
    };
    let lasts_ms = i64::try_from(LASTS.as_millis()).unwrap_or(i64::MAX / 2);
    let announced = shared.backplane.announce_node(record, lasts_ms).await;
    if let Err(error) = announced {
        // The backplane logs its outage.
        Event::AnnouncementFailed { error: &error }.emit();
    }
}

/// Renews the record until the node drains.
pub(crate) async fn run(shared: Arc<Shared>, mut address: NodeAddress) -> Stopped {
    let mut ticks = tokio::time::interval(EVERY);
    let mut looked_up = tokio::time::Instant::now();
    let mut resumed = shared.backplane.resumed();
    let mut twin = twin::Watch::default();
    let mut renewals = 0u32;
    loop {
        tokio::select! {
            () = shared.closing.cancelled() => break,
            _ = ticks.tick() => {}
            Ok(()) = resumed.changed() => {}
        }
        if looked_up.elapsed() >= LOOK_UP_EVERY {
            advertise::renew(&mut address).await;
            looked_up = tokio::time::Instant::now();
        }
        if !shared.is_draining() {
            if renewals.is_multiple_of(RENEWALS_A_LOOK) {
                twin.look(&shared.backplane, &shared.node_id, shared.process.as_deref())
                    .await;
            }
            renewals = renewals.wrapping_add(1);
            announce(&shared, &address).await;
        }
    }
    // A renewal may have crossed the removal.
    shared.backplane.remove_node(&shared.node_id).await;
    Stopped
}
