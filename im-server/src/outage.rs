//! Reports of a failing database.

use telemetry::events::im::Event;

/// Reports failed work beside requests.
pub(crate) fn report(error: &database::Error, failed: &'static str) {
    Event::UpkeepFailed {
        error,
        failed,
        is_outage: error.outage().is_some(),
    }
    .emit();
}
