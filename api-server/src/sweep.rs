//! Periodic clean-up: old idempotency keys, expired codes and budgets, last uses, devices that have ended.

use std::time::Duration;

use database::Database;

use crate::{
    account::{self, budget},
    app::App,
    clinic,
    clock::now_ms,
    http::{error::Error, once},
    team,
};

/// The interval between sweeps.
const EVERY: Duration = Duration::from_secs(30);

/// Sweeps until the service ends.
pub(crate) async fn run(app: App) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = app.shutdown.cancelled() => break,
            _ = ticks.tick() => {}
        }
        if let Err(error) = sweep(&app).await {
            let inner = error.inner().unwrap_or("");
            if error.is_outage() {
                tracing::debug!(inner, "a sweep met an outage and is retried");
            } else {
                tracing::warn!(inner, "a sweep failed and is retried");
            }
        }
    }
    if let Err(error) = account::save_last_use(&app).await {
        tracing::warn!(
            inner = error.inner().unwrap_or(""),
            "times of last use could not be saved"
        );
    }
}

async fn sweep(app: &App) -> Result<(), Error> {
    let now_ms = now_ms();
    app.limits.forget_full();
    app.im_passwords.forget_full();
    app.backplane.forget_expired(now_ms);
    account::sweep_ended(app, now_ms).await?;
    account::save_last_use(app).await?;
    account::forget_codes(&app.database, now_ms).await?;
    while budget::forget_full(&app.database, now_ms).await? {
        tokio::task::yield_now().await;
    }
    while once::forget_old(&app.database, now_ms).await? {
        tokio::task::yield_now().await;
    }
    fold_names(&app.database).await
}

/// Folds the names of rows that an earlier release wrote.
pub(crate) async fn fold_names(database: &Database) -> Result<(), Error> {
    while clinic::fold_names(database).await? {
        tokio::task::yield_now().await;
    }
    while team::fold_names(database).await? {
        tokio::task::yield_now().await;
    }
    Ok(())
}
