//! The node's line in the directory of live nodes, from which `/im/servers` is answered.

use std::{sync::Arc, time::Duration};

use backplane::{NodeAddress, NodeRecord};

use crate::{advertise, clock, node::Shared, twin};

/// How often the line is renewed.
const EVERY: Duration = Duration::from_secs(2);
/// How long it stands unrenewed: a dead node is gone from `/im/servers` within 10 s.
pub(crate) const LASTS: Duration = Duration::from_secs(8);
/// Renewals between two looks for another node of this name.
const RENEWALS_A_LOOK: u32 = 5;
/// How often the address of a domain name is looked up again.
const LOOK_UP_EVERY: Duration = Duration::from_secs(60);

/// Puts or renews the line.
pub(crate) async fn announce(shared: &Shared, address: &NodeAddress) {
    let record = NodeRecord {
        node_id: shared.node_id.clone(),
        address: address.clone(),
        sessions: u64::from(shared.limits.sessions()),
        version: env!("CARGO_PKG_VERSION").into(),
        process: shared.process.clone(),
    };
    let lasts_ms = i64::try_from(LASTS.as_millis()).unwrap_or(i64::MAX / 2);
    let announced = shared
        .backplane
        .announce_node(record, clock::now_ms(), lasts_ms)
        .await;
    if let Err(error) = announced {
        // The backplane's own lines tell of its outage.
        tracing::debug!(%error, "the node could not be announced; it tries again");
    }
}

/// Renews the line until the node drains.
pub(crate) async fn keep_announcing(shared: Arc<Shared>, mut address: NodeAddress) {
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
    // Should a renewal have crossed the withdrawal.
    shared.backplane.remove_node(&shared.node_id).await;
}
