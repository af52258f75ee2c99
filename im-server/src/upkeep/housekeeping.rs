//! Frees unused state, and measures the rest.

use std::{sync::Arc, time::Duration};

use telemetry::{events::im as events, task::Stopped};

use crate::{clock, shared::Shared};

const EVERY: Duration = Duration::from_secs(1);

pub(super) async fn run(shared: Arc<Shared>) -> Stopped {
    let mut ticks = super::ticks(EVERY);
    loop {
        tokio::select! {
            () = shared.stopping.cancelled() => return Stopped,
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
    shared.backplane.forget_expired();
    if let Some(certificate) = &shared.certificate {
        certificate.refresh();
        let ends = certificate.validity().not_after.as_second();
        events::CERTIFICATE_EXPIRES_S.set(ends as f64);
    }
    events::SESSIONS.set(f64::from(shared.limits.sessions()));
    events::SESSIONS_MAX.set(f64::from(shared.settings.max_sessions));
    events::ROOMS.set(shared.rooms.len() as f64);
}
