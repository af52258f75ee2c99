//! SIGTERM and SIGINT: the first asks for a drain, the second ends the process at once.

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by the first SIGTERM or SIGINT; the second one ends the process with 128 + its number. What
/// was acknowledged is durable by then, whatever else is cut off.
///
/// # Errors
/// When the signals cannot be taken over.
pub fn on_signal() -> anyhow::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?;
    let token = CancellationToken::new();
    let asked = token.clone();
    tokio::spawn(async move {
        let mut next = async move || {
            tokio::select! {
                _ = terminate.recv() => SignalKind::terminate(),
                _ = interrupt.recv() => SignalKind::interrupt(),
            }
        };
        next().await;
        tracing::info!("draining; a second signal stops at once");
        crate::notify::stopping();
        metrics::gauge!("huizhen_draining").set(1.0);
        asked.cancel();
        let signal = next().await;
        std::process::exit(128 + signal.as_raw_value());
    });
    Ok(token)
}
