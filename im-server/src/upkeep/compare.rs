//! Compares announcements with the database, so that a lost announcement is late and never lost.

use std::{sync::Arc, time::Duration};

use telemetry::task::Stopped;
use tokio::time::{Instant, sleep_until};

use crate::{
    delivery::{Receiver, fanout},
    outage::report,
    shared::Shared,
};

/// Changes per query.
const CHANGES: i64 = 5_000;

const EVERY: Duration = Duration::from_secs(3);
/// Minimum time between two comparisons, however often the backplane returns.
const REST: Duration = Duration::from_millis(500);

/// Compares every few seconds, and when the backplane returns: announcements were lost meanwhile.
pub(super) async fn run(shared: Arc<Shared>) -> Stopped {
    let mut resumed = shared.backplane.resumed();
    let mut compared = Instant::now();
    loop {
        tokio::select! {
            () = shared.stopping.cancelled() => return Stopped,
            Ok(()) = resumed.changed() => sleep_until(compared + REST).await,
            () = sleep_until(compared + EVERY) => {}
        }
        compare(&shared).await;
        compared = Instant::now();
    }
}

/// Compares delivered entries and attached sessions with the database.
async fn compare(shared: &Arc<Shared>) {
    match shared.journal.last_seqs(&shared.rooms.ids()).await {
        Ok(seqs) => {
            for (conversation, seq) in seqs {
                if let Some(room) = shared.rooms.get(conversation) {
                    fanout::exists(&room, &shared.journal, seq);
                }
            }
        }
        Err(error) => {
            report(
                &error,
                "rooms could not be compared with the database; the next comparison retries",
            );
        }
    }
    if let Err(error) = compare_participants(shared).await {
        report(
            &error,
            "changes of participants could not be read; the next comparison retries",
        );
    }
}

/// Feeds the sessions whose users joined or left since the last comparison: an announcement may have been lost. The
/// horizon is read first, so that the next comparison reads changes that commit meanwhile.
async fn compare_participants(shared: &Shared) -> Result<(), database::Error> {
    let next = shared.journal.horizon().await?;
    compare_hidden(shared).await?;
    let mut from = shared.horizon.lock().number;
    loop {
        let changes = shared.journal.changes_since(from, CHANGES).await?;
        for change in &changes {
            for session in shared.users.of(change.user) {
                session.feed(change.conversation);
            }
        }
        match changes.last() {
            // Repeats those of the last number; one transaction never exceeds a query.
            Some(last) if changes.len() as i64 == CHANGES => from = last.number.max(from + 1),
            _ => break,
        }
    }
    *shared.horizon.lock() = next;
    Ok(())
}

/// Tells the sessions whose users hid conversations or put them back since the last comparison.
async fn compare_hidden(shared: &Shared) -> Result<(), database::Error> {
    let from = shared.horizon.lock().number;
    let mut last = None;
    loop {
        let changes = shared.journal.hidden_since(from, last.as_ref(), CHANGES).await?;
        for change in &changes {
            for session in shared.users.of(change.user) {
                let has_heard = session
                    .books
                    .lock()
                    .has_heard(change.conversation, change.through);
                if !has_heard {
                    session.tell(change.conversation);
                }
            }
        }
        match changes.last() {
            Some(newest) if changes.len() as i64 == CHANGES => last = Some(*newest),
            _ => return Ok(()),
        }
    }
}
