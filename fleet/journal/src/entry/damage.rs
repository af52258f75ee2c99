//! Damaged and missing entries: counted, logged once for each place, never served (docs/decisions/0007-damage.md).

use std::collections::HashSet;

use database::Error;
use parking_lot::Mutex;
use proto::{ConversationId, Seq};
use telemetry::events::journal::Event;

pub(crate) const CHECKSUM: &str = "its checksum differs";
pub(crate) const NO_CHECKSUM: &str = "its checksum is gone";
pub(crate) const NO_VALUE: &str = "a column holds a value that is never written";
pub(crate) const OTHER: &str = "an entry of another conversation stands in its place";
pub(crate) const MISSING: &str = "it is missing";

/// Places remembered as logged. Beyond it each read of a damaged place is logged: that disk is dying.
const LOGGED_PLACES: usize = 1024;

static LOGGED: Mutex<Option<HashSet<(i64, i64)>>> = Mutex::new(None);

/// Counts a damaged entry, logs its place the first time, and makes the error.
pub(crate) fn report(conversation: ConversationId, seq: Seq, reason: &'static str) -> Error {
    let (conversation_id, seq) = (conversation.get(), seq.get());
    Event::DamagedEntry {
        conversation_id,
        seq,
        reason,
        is_logged: is_logged(conversation_id, seq),
    }
    .emit();
    Error::DamagedEntry {
        conversation: conversation_id,
        seq,
        damage: reason,
    }
}

fn is_logged(conversation: i64, seq: i64) -> bool {
    let mut logged = LOGGED.lock();
    let logged = logged.get_or_insert_default();
    logged.len() < LOGGED_PLACES && !logged.insert((conversation, seq))
}
