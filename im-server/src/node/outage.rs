//! Log lines about what the database did not do.

/// Logs what failed beside the requests of apps. An outage has lines of its own where it begins and where it ends; what it
/// costs in between is for a closer look.
pub(crate) fn log(error: &database::Error, what: &'static str) {
    if error.outage().is_some() {
        tracing::debug!(%error, "{what}");
    } else {
        tracing::warn!(%error, "{what}");
    }
}
