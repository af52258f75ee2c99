//! Background work: unused uploads are deleted after a day, and so are bytes that no row knows.
//!
//! A row is marked as gone first, by which nothing can name it any more; then its bytes are deleted, then the row. A turn that
//! is cut in between is done again.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use jobs::{Failure, Job, Next, Turn};
use media::{Key, StoreError};

use super::{Media, ask::UNUSED_MS, store::Parts, table};
use crate::{app::App, http::error::Error};

/// Between two turns of deleting unused uploads.
const UNUSED_EVERY: Duration = Duration::from_secs(5 * 60);
/// Uploads of a turn.
const UNUSED_BOUND: i64 = 200;

/// Between two sweeps of the store.
const SWEEP_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// Listed bytes of a turn.
const SWEEP_BOUND: i64 = 1000;
/// Bytes that are younger stay: their row may come. The store's clock may differ from ours.
const SWEPT_AFTER_MS: i64 = 2 * UNUSED_MS;

/// The jobs of a service that keeps media.
pub(crate) fn jobs(app: &App) -> Vec<Job> {
    let Ok(parts) = app.part::<Media>().parts() else {
        return Vec::new();
    };
    let (unused, swept) = (parts.clone(), parts.clone());
    vec![
        Job::new("media_unused", UNUSED_EVERY, UNUSED_BOUND, move |turn| {
            delete_unused(unused.clone(), turn)
        }),
        Job::new("media_sweep", SWEEP_EVERY, SWEEP_BOUND, move |turn| {
            sweep(swept.clone(), turn)
        }),
    ]
}

async fn delete_unused(parts: Arc<Parts>, turn: Turn) -> Result<Next, Failure> {
    let before_ms = now_ms(&turn).await? - UNUSED_MS;
    let unused = table::unused(turn.database(), before_ms, turn.bound()).await?;
    let is_full = i64::try_from(unused.len()) == Ok(turn.bound());
    for (id, key) in unused {
        let abandoned =
            turn.transaction::<_, Error, _>(move |tx| Box::pin(async move { table::abandon(tx, id).await }));
        if !abandoned.await? {
            // It was used in between.
            continue;
        }
        parts.store.delete(&key).await.map_err(outage(&parts))?;
        let forgotten =
            turn.transaction::<_, Error, _>(move |tx| Box::pin(async move { table::forget(tx, id).await }));
        forgotten.await?;
    }
    Ok(if is_full { Next::AtOnce } else { Next::Usual })
}

/// Deletes bytes without a row, a part of the store in each turn: the cursor is the last key that was looked at.
async fn sweep(parts: Arc<Parts>, turn: Turn) -> Result<Next, Failure> {
    let now_ms = now_ms(&turn).await?;
    let before_ms = now_ms - SWEPT_AFTER_MS;
    let after: Option<Key> = turn.cursor().parse().ok();
    let bound = usize::try_from(turn.bound()).unwrap_or(1);
    let mut listed = parts.store.list(after.as_ref()).take(bound);
    let (mut count, mut last) = (0, None);
    while let Some(stored) = listed.next().await {
        let stored = stored.map_err(outage(&parts))?;
        count += 1;
        let is_new = last.as_ref() != Some(&stored.key);
        if is_new && stored.modified_ms < before_ms {
            delete_orphan(&parts, &turn, &stored.key).await?;
        }
        last = Some(stored.key);
    }
    let is_full = count == bound;
    if !is_full {
        discard_staged(&parts, now_ms - UNUSED_MS).await?;
    }
    let cursor = last
        .filter(|_| is_full)
        .map_or_else(String::new, |key| key.to_string());
    let of = turn.clone();
    let saved = turn.transaction::<_, Error, _>(move |tx| {
        Box::pin(async move { Ok(of.save_cursor(tx, &cursor).await?) })
    });
    saved.await?;
    Ok(if is_full { Next::AtOnce } else { Next::Usual })
}

/// Discards what was staged and not finished within its time. A ticket of S3 may stage an upload once more after its end:
/// the kept bytes stay.
async fn discard_staged(parts: &Parts, before_ms: i64) -> Result<(), Failure> {
    let mut staged = parts.store.list_staged();
    while let Some(upload) = staged.next().await {
        let upload = upload.map_err(outage(parts))?;
        if upload.modified_ms < before_ms {
            let discarded = parts.store.discard(&upload.key).await;
            discarded.map_err(outage(parts))?;
        }
    }
    Ok(())
}

async fn delete_orphan(parts: &Parts, turn: &Turn, key: &Key) -> Result<(), Failure> {
    if !table::has_key(turn.database(), key).await? {
        parts.store.delete(key).await.map_err(outage(parts))?;
    }
    Ok(())
}

/// The rows have their times from the same clock.
async fn now_ms(turn: &Turn) -> Result<i64, Error> {
    Ok(turn.database().now_ms().await?)
}

fn outage(parts: &Parts) -> impl Fn(StoreError) -> Failure {
    |error| {
        parts.note(&error);
        Failure::work(error)
    }
}
