//! The one timer for everybody: once a second silent, expired and slow sessions end and marks are saved; every few
//! seconds what was announced is compared with the database, so that a lost announcement is late and never lost.

mod compare;
pub(crate) mod directory;
mod lag;
pub(crate) mod marks;
mod renewal;
mod sessions;
pub(crate) mod twin;

use std::{sync::Arc, time::Duration};

use backplane::NodeAddress;
use tokio::time::{Instant, MissedTickBehavior};

use self::{
    compare::compare,
    sessions::{Grace, end_sessions},
};
use crate::node::{clock, shared::Shared};

const EVERY: Duration = Duration::from_secs(1);
/// How often the rooms' seqs are compared with the database.
const COMPARE_EVERY: Duration = Duration::from_secs(3);
/// The least time between two comparisons, however often the backplane comes back.
const COMPARE_REST: Duration = Duration::from_millis(500);

async fn keep_sweeping(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut resumed = shared.backplane.resumed();
    let mut compared = Instant::now();
    let mut is_due = false;
    let mut grace = Grace::new(clock::uptime_s());
    loop {
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            Ok(()) = resumed.changed() => {
                is_due = true;
                if compared.elapsed() >= COMPARE_REST {
                    compare(&shared).await;
                    (compared, is_due) = (Instant::now(), false);
                }
                continue;
            }
            _ = ticks.tick() => {}
        }
        clock::follow();
        end_sessions(&shared, &mut grace);
        marks::save(&shared).await;
        shared.limits.forget_old();
        shared
            .rooms
            .close_empty(clock::uptime_s(), &shared.backplane, shared.subscriber);
        if let Some(certificate) = &shared.certificate {
            certificate.refresh();
            let ends = certificate.validity().not_after.as_second();
            metrics::gauge!("huizhen_im_certificate_expires_seconds").set(ends as f64);
        }
        shared.backplane.forget_expired(clock::now_ms());
        metrics::gauge!("huizhen_im_sessions").set(f64::from(shared.limits.sessions()));
        metrics::gauge!("huizhen_im_sessions_max").set(f64::from(shared.settings.max_sessions));
        metrics::gauge!("huizhen_im_rooms").set(shared.rooms.len() as f64);
        if is_due || compared.elapsed() >= COMPARE_EVERY {
            compare(&shared).await;
            (compared, is_due) = (Instant::now(), false);
        }
    }
}

/// Starts the tasks that keep a node in order until it stops.
pub(crate) fn start(shared: &Arc<Shared>, address: NodeAddress) {
    tokio::spawn(directory::keep_announcing(shared.clone(), address));
    tokio::spawn(keep_sweeping(shared.clone()));
    tokio::spawn(lag::keep_measuring(shared.clone()));
    tokio::spawn(renewal::keep_renewing(shared.clone()));
}
