//! Entries into rooms, by one door: own commits, other nodes' publications, and gaps read from the journal.

use std::sync::Arc;

use journal::{Journal, Published};
use proto::Seq;

use super::{Receiver, room::Room};
use crate::node::outage::log;

/// Entries that are read at once to fill a gap.
const GAP_ENTRIES: usize = 200;

/// Puts entries into a room and delivers those whose turn it is.
pub(crate) fn offer<R: Receiver>(
    room: &Arc<Room<R>>,
    journal: &Journal,
    entries: impl IntoIterator<Item = Published>,
) {
    if room.put(entries) {
        serve(room, journal);
    }
}

/// Delivers what was put into a room, in a task of its own where that takes long.
pub(crate) fn serve<R: Receiver>(room: &Arc<Room<R>>, journal: &Journal) {
    if room.is_large() {
        let (room, journal) = (room.clone(), journal.clone());
        tokio::spawn(async move { drain(&room, &journal) });
    } else {
        drain(room, journal);
    }
}

/// Tells a room that entries up to `seq` exist, as the database says.
pub(crate) fn exists<R: Receiver>(room: &Arc<Room<R>>, journal: &Journal, seq: Seq) {
    if room.exists(seq) {
        fill(room, journal);
    }
}

fn drain<R: Receiver>(room: &Arc<Room<R>>, journal: &Journal) {
    if room.drain() {
        fill(room, journal);
    }
}

/// Reads a part of the missing entries, in a task of its own, one at a time. Putting them in finds the next part.
fn fill<R: Receiver>(room: &Arc<Room<R>>, journal: &Journal) {
    if !room.begin_filling() {
        return;
    }
    let (room, journal) = (room.clone(), journal.clone());
    tokio::spawn(async move {
        let Some((low, high)) = room.gap() else {
            room.end_filling();
            return;
        };
        metrics::counter!("huizhen_im_gaps_total").increment(1);
        let read = journal.entries(room.id, low, high, GAP_ENTRIES).await;
        room.end_filling();
        match read {
            // An announced entry is committed, so this conversation is of another epoch; the sweep looks again.
            Ok(entries) if entries.is_empty() => {}
            Ok(entries) => offer(&room, &journal, entries.into_iter().map(Published::new)),
            Err(error) => {
                log(&error, "a gap could not be read; the sweep tries again");
            }
        }
    });
}
