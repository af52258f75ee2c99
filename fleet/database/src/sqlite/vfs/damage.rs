//! Telling of damage. SQLite passes a bare number on to whoever reads; what is damaged is kept for the thread that asked.

use std::{cell::RefCell, collections::BTreeSet};

use parking_lot::Mutex;

/// Places that are remembered as told, so that the log names each once.
const TOLD: usize = 1_000;

static KNOWN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

thread_local! {
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Notes that a place was read and is not what was written.
pub(super) fn note(place: String) {
    metrics::counter!("huizhen_database_damaged_pages_total").increment(1);
    let mut known = KNOWN.lock();
    if known.len() < TOLD && known.insert(place.clone()) {
        tracing::error!(
            place,
            "damage: it is not what was written, and is not served; docs/operations.md, Damage"
        );
    }
    drop(known);
    LAST.set(Some(place));
}

/// What this thread has read last that is damaged.
pub(crate) fn take() -> Option<String> {
    LAST.take()
}
