//! Entries into rooms through one door: own commits, publications of other nodes, and gaps read from the journal.

use std::sync::Arc;

use journal::{Journal, Published};
use proto::Seq;

use super::{Receiver, room::Room};
use crate::outage::log;

/// Entries per read of a gap.
const GAP_ENTRIES: usize = 200;

/// Puts entries into a room and delivers those that are due.
pub(crate) fn offer<R: Receiver>(
    room: &Arc<Room<R>>,
    journal: &Journal,
    entries: impl IntoIterator<Item = Published>,
) {
    if room.put(entries) {
        serve(room, journal);
    }
}

/// Delivers the entries of a room; a large room has a task of its own for it.
pub(crate) fn serve<R: Receiver>(room: &Arc<Room<R>>, journal: &Journal) {
    if room.is_large() {
        let (room, journal) = (room.clone(), journal.clone());
        tokio::spawn(async move { drain(&room, &journal) });
    } else {
        drain(room, journal);
    }
}

/// Informs a room that entries up to `seq` exist in the database.
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

/// Reads a part of the gap in a task of its own, one part at a time. Putting it in finds the next part.
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
            // An announced entry is committed, so this conversation is of another epoch; the next comparison finds
            // it.
            Ok(entries) if entries.is_empty() => {}
            Ok(entries) => offer(&room, &journal, entries.into_iter().map(Published::new)),
            Err(error) => {
                log(&error, "a gap could not be read; the sweep tries again");
            }
        }
    });
}
