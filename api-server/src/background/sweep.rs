//! Periodic work of each process: its memory, last uses, devices that have ended, names of an earlier
//! release, a media store that is away.

use std::time::Duration;

use database::Database;
use telemetry::{events::rest::Event, task::Stopped};

use crate::{account, app::App, clinic, http::error::Error, im::ImPasswordRates, media::Media, team};

/// The interval between sweeps.
const EVERY: Duration = Duration::from_secs(30);

/// Sweeps until the service ends. A job that fails is retried by the next sweep, and does not keep others from running.
pub(crate) async fn run(app: App) -> Stopped {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = app.shutdown.cancelled() => break,
            _ = ticks.tick() => sweep(&app).await,
        }
    }
    if let Err(error) = account::save_last_use(&app).await {
        let inner = error.inner().unwrap_or("");
        Event::LastUsesLost { inner }.emit();
    }
    Stopped
}

async fn sweep(app: &App) {
    app.limits.forget_full();
    app.part::<ImPasswordRates>().forget_full();
    app.backplane.forget_expired();
    report(account::sweep_ended(app).await);
    report(account::save_last_use(app).await);
    report(fold_names(&app.database).await);
    tokio::select! {
        () = app.shutdown.cancelled() => {}
        () = app.part::<Media>().look() => {}
    }
}

fn report(outcome: Result<(), Error>) {
    let Err(error) = outcome else {
        return;
    };
    let inner = error.inner().unwrap_or("");
    if error.is_outage() {
        Event::SweepMetOutage { inner }.emit();
    } else {
        Event::SweepFailed { inner }.emit();
    }
}

/// Repeats a job that does a little at a time while more may follow.
async fn until_done<F: Future<Output = Result<bool, Error>>>(some: impl Fn() -> F) -> Result<(), Error> {
    while some().await? {
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Folds the names of rows that an earlier release wrote.
pub(crate) async fn fold_names(database: &Database) -> Result<(), Error> {
    until_done(|| clinic::fold_names(database)).await?;
    until_done(|| team::fold_names(database)).await
}
