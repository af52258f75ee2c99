//! What systemd is told: that this program accepts, that it is being stopped, and that it still runs. Without systemd
//! (no NOTIFY_SOCKET) nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;

/// All listeners accept. When the unit has a watchdog, it is fed from now on by the runtime's own timer: a runtime that
/// is stuck is restarted.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    let every = limit / 3;
    if every > Duration::ZERO && tokio::runtime::Handle::try_current().is_ok() {
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(every);
            loop {
                ticks.tick().await;
                tell(&[NotifyState::Watchdog]);
            }
        });
    }
}

/// This program drains.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd cannot be told how this program is");
    }
}
