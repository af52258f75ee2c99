//! Renews the logins of this node in the backplane, which expire there when the node dies. A session that missed the
//! notice of another login or a logout ends here.

use std::{sync::Arc, time::Duration};

use backplane::{HeldSession, Outdone};
use proto::wire::ByeReason;
use telemetry::task::Stopped;

use crate::{sentences, session::Session, shared::Shared};

/// Interval of renewals: a third of the lifetime of a login.
const EVERY: Duration = Duration::from_secs(20);
/// Parts of an interval, so that nodes which start together do not renew all of their logins at once and occupy Redis
/// for seconds (loadtest/results/README.md).
const PARTS: u32 = 20;
/// Minimum time between two full renewals, however often the backplane returns.
const REST: Duration = Duration::from_millis(500);

/// Renews one part at a time, and everything when the backplane returns.
pub(crate) async fn run(shared: Arc<Shared>) -> Stopped {
    let mut resumed = shared.backplane.resumed();
    let mut ticks = super::ticks(EVERY / PARTS);
    let mut part = 0;
    loop {
        tokio::select! {
            () = shared.stopping.cancelled() => return Stopped,
            _ = ticks.tick() => {
                // Ids are sequential, so the parts are of equal size.
                renew(&shared, shared.users.filter(|session| session.id % u64::from(PARTS) == part)).await;
                part = (part + 1) % u64::from(PARTS);
            }
            Ok(()) = resumed.changed() => {
                renew(&shared, shared.users.all()).await;
                tokio::time::sleep(REST).await;
            }
        }
    }
}

async fn renew(shared: &Shared, sessions: Vec<Arc<Session>>) {
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
        // Readiness and the backplane report it; its return repeats the renewal.
        return;
    };
    for (at, why) in outdone {
        let Some(session) = sessions.get(at) else { continue };
        match why {
            Outdone::Replaced => {
                session.end(ByeReason::Replaced, 0, &sentences::REPLACED);
            }
            Outdone::LoggedOut => session.end(ByeReason::LoggedOut, 0, &sentences::LOGGED_OUT),
        }
    }
}
