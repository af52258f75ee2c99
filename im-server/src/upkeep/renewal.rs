//! Renews the logins of this node in the backplane: they are forgotten there when the node dies. Whoever missed the notice
//! that a device has logged in elsewhere or was logged out learns of it here.

use std::{sync::Arc, time::Duration};

use backplane::{HeldSession, Outdone};
use proto::wire::ByeReason;

use crate::{
    node::{sentences, shared::Shared},
    session::Session,
};

/// How often each login is renewed: three times while it stands unrenewed.
const EVERY: Duration = Duration::from_secs(20);
/// In so many parts, one after another: nodes that were started together, each with all of its logins at once, would be
/// busy with nothing else for seconds, and Redis too (loadtest/results/README.md).
const PARTS: u32 = 20;
/// The least time between two renewals of everybody, however often the backplane comes back.
const REST: Duration = Duration::from_millis(500);

/// Renews a part now and then, and everybody at once when the backplane is back or was emptied.
pub(crate) async fn keep_renewing(shared: Arc<Shared>) {
    let mut resumed = shared.backplane.resumed();
    let mut ticks = super::ticks(EVERY / PARTS);
    let mut part = 0;
    loop {
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            _ = ticks.tick() => {
                // Their ids are counted, so that the parts are of one size.
                renew(&shared, shared.users.those(|session| session.id % u64::from(PARTS) == part)).await;
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
        // Said by readiness and the backplane's own log lines; it is done again when it is back.
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
