//! Reports of damage. SQLite passes only a number on to its caller; the damaged place is kept for the thread that read it.

use std::{cell::RefCell, collections::BTreeSet};

use parking_lot::Mutex;

/// Places that are remembered, so that the log names each once.
const REMEMBERED: usize = 1_000;

static KNOWN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

thread_local! {
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Notes that a place was read and differs from what was written.
pub(super) fn note(place: String) {
    metrics::counter!("huizhen_database_damaged_pages_total").increment(1);
    let mut known = KNOWN.lock();
    if known.len() < REMEMBERED && known.insert(place.clone()) {
        tracing::error!(
            place,
            "damage: it is not what was written, and is not served; docs/operations.md, Damage"
        );
    }
    drop(known);
    LAST.set(Some(place));
}

/// The last damaged place that this thread has read.
pub(crate) fn take() -> Option<String> {
    LAST.take()
}
