//! Entries into rooms through one door: own commits, publications of other nodes, and gaps read from the journal.

use std::sync::Arc;

use journal::{Journal, Published};
use proto::Seq;
use telemetry::{
    events::im as events,
    task::{Name, Stopped, plant, vital},
};

use super::{Receiver, room::Room};
use crate::outage::report;

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
        vital(Name::NodeFanOut, async move {
            plant::here(Name::NodeFanOut);
            drain(&room, &journal);
            Stopped
        });
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
    vital(Name::NodeGap, async move {
        plant::here(Name::NodeGap);
        let Some((low, high)) = room.gap() else {
            room.end_filling();
            return Stopped;
        };
        events::GAPS.increment();
        let read = journal.entries(room.id, low, high, GAP_ENTRIES).await;
        room.end_filling();
        match read {
            // An announced entry is committed, so this conversation is of another epoch; the next comparison finds
            // it.
            Ok(entries) if entries.is_empty() => {}
            Ok(entries) => offer(&room, &journal, entries.into_iter().map(Published::new)),
            Err(error) => {
                report(&error, "a gap could not be read; the next comparison retries");
            }
        }
        Stopped
    });
}
