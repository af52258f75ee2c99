//! Reports of damage. SQLite passes only a number on to its caller; the damaged place is kept for the thread that read it.

use std::{cell::RefCell, collections::BTreeSet};

use parking_lot::Mutex;
use telemetry::events::database::Event;

/// Places that are remembered, so that the log names each once.
const REMEMBERED: usize = 1_000;

static KNOWN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

thread_local! {
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Notes that a place was read and differs from what was written.
pub(super) fn note(place: String) {
    let is_new = {
        let mut known = KNOWN.lock();
        known.len() < REMEMBERED && known.insert(place.clone())
    };
    let named = &*place;
    Event::DamagedPage { place: named, is_new }.emit();
    LAST.set(Some(place));
}

/// The last damaged place that this thread has read.
pub(crate) fn take() -> Option<String> {
    LAST.take()
}
