//! Frees unused state, and measures the rest.

use std::{sync::Arc, time::Duration};

use crate::{clock, shared::Shared};

const EVERY: Duration = Duration::from_secs(1);

pub(super) async fn run(shared: Arc<Shared>) {
    let mut ticks = super::ticks(EVERY);
    loop {
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            _ = ticks.tick() => keep_once(&shared),
        }
    }
}

fn keep_once(shared: &Shared) {
    clock::follow();
    shared.limits.forget_old();
    shared
        .rooms
        .close_empty(clock::uptime_s(), &shared.backplane, shared.subscriber);
    shared.backplane.forget_expired(clock::now_ms());
    if let Some(certificate) = &shared.certificate {
        certificate.refresh();
        let ends = certificate.validity().not_after.as_second();
        metrics::gauge!("huizhen_im_certificate_expires_seconds").set(ends as f64);
    }
    metrics::gauge!("huizhen_im_sessions").set(f64::from(shared.limits.sessions()));
    metrics::gauge!("huizhen_im_sessions_max").set(f64::from(shared.settings.max_sessions));
    metrics::gauge!("huizhen_im_rooms").set(shared.rooms.len() as f64);
}
