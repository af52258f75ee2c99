//! Renews the logins of this node in the backplane: they are forgotten there when the node dies. Whoever missed the notice
//! that a device has logged in elsewhere or was logged out learns of it here.

use std::{sync::Arc, time::Duration};

use backplane::{HeldSession, Outdone};
use proto::wire::ByeReason;
use tokio::time::MissedTickBehavior;

use crate::node::Shared;

/// Three times while a login stands unrenewed.
const EVERY: Duration = Duration::from_secs(20);
/// The least time between two renewals, however often the backplane comes back.
const REST: Duration = Duration::from_millis(500);

/// Renews every now and then, and at once when the backplane is back or was emptied.
pub(crate) async fn keep_renewing(shared: Arc<Shared>) {
    let mut resumed = shared.backplane.resumed();
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            _ = ticks.tick() => {}
            Ok(()) = resumed.changed() => {}
        }
        renew(&shared).await;
        tokio::time::sleep(REST).await;
    }
}

async fn renew(shared: &Shared) {
    let sessions = shared.users.all();
    let held: Vec<HeldSession> = sessions
        .iter()
        .map(|session| HeldSession {
            user: session.user,
            device_id: session.device_id.clone(),
            platform: session.platform,
            generation: session.generation,
        })
        .collect();
    let Ok(outdone) = shared.backplane.renew_sessions(&held).await else {
        // Said by readiness and the backplane's own log lines; it is done again when it is back.
        return;
    };
    for (at, why) in outdone {
        let Some(session) = sessions.get(at) else { continue };
        match why {
            Outdone::Replaced => {
                session.end(
                    ByeReason::Replaced,
                    0,
                    "this device has logged in again elsewhere",
                );
            }
            Outdone::LoggedOut => session.end(ByeReason::LoggedOut, 0, "this device was logged out"),
        }
    }
}
