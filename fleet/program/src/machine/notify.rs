//! Notifies systemd that this process accepts, drains or still runs. Without systemd (no NOTIFY_SOCKET) it does nothing.

use std::time::Duration;

use ::telemetry::task::{self, Name};
use sd_notify::NotifyState;

/// All listeners accept. Where the unit has a watchdog, the runtime's own timer feeds it from now on, so that systemd
/// restarts a runtime that is stuck.
pub(crate) fn ready() {
    send(&[NotifyState::Ready]);
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    let every = limit / 3;
    if every > Duration::ZERO && tokio::runtime::Handle::try_current().is_ok() {
        task::vital(Name::Watchdog, async move {
            let mut ticks = tokio::time::interval(every);
            loop {
                ticks.tick().await;
                send(&[NotifyState::Watchdog]);
            }
        });
    }
}

/// This process drains.
pub(crate) fn stopping() {
    send(&[NotifyState::Stopping]);
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd cannot be notified of the state of this process");
    }
}
