//! SIGTERM and SIGINT: the first begins a drain, the second ends the process at once.

use ::telemetry::{
    events::program::Event,
    task::{self, Name},
};
use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Returns a token that the first SIGTERM or SIGINT cancels. The second ends the process with 128 + its number, which loses
/// no acknowledged message (I1).
///
/// # Errors
/// When the signals cannot be handled.
pub fn on_signal() -> anyhow::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?;
    let token = CancellationToken::new();
    let asked = token.clone();
    task::vital(Name::Signals, async move {
        let mut next = async move || {
            tokio::select! {
                _ = terminate.recv() => SignalKind::terminate(),
                _ = interrupt.recv() => SignalKind::interrupt(),
            }
        };
        next().await;
        Event::Draining.emit();
        crate::machine::notify::stopping();
        asked.cancel();
        let signal = next().await;
        std::process::exit(128 + signal.as_raw_value())
    });
    Ok(token)
}
