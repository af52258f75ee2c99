//! Compares what was announced with the database, so that a lost announcement is late and never lost.

use std::sync::Arc;

use crate::{
    delivery::{Receiver, fanout},
    node::{outage::log, shared::Shared},
};

/// Changes that are read at once.
const CHANGES: i64 = 5_000;

/// Compares what was delivered and who was attached with the database.
pub(super) async fn compare(shared: &Arc<Shared>) {
    match shared.journal.last_seqs(&shared.rooms.ids()).await {
        Ok(seqs) => {
            for (conversation, seq) in seqs {
                if let Some(room) = shared.rooms.get(conversation) {
                    fanout::exists(&room, &shared.journal, seq);
                }
            }
        }
        Err(error) => {
            log(
                &error,
                "rooms could not be compared with the database; the next sweep tries again",
            );
        }
    }
    if let Err(error) = compare_participants(shared).await {
        log(
            &error,
            "changes of participants could not be read; the next sweep tries again",
        );
    }
}

/// Has the sessions here looked after whose users were brought in or taken out since the last comparison: an announcement
/// may have been lost. The horizon is read first, so a change that commits meanwhile is read next time.
async fn compare_participants(shared: &Shared) -> Result<(), database::Error> {
    let next = shared.journal.horizon().await?;
    let mut from = shared.horizon.lock().number;
    loop {
        let changes = shared.journal.changes_since(from, CHANGES).await?;
        for change in &changes {
            for session in shared.users.of(change.user) {
                session.feed(change.conversation);
            }
        }
        match changes.last() {
            // Those of the last number once more; of one transaction never more than are read at once.
            Some(last) if changes.len() as i64 == CHANGES => from = last.number.max(from + 1),
            _ => break,
        }
    }
    *shared.horizon.lock() = next;
    Ok(())
}
