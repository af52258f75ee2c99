//! Log lines about a failing database.

/// Logs a failure outside of requests. The database logs where an outage begins and ends, so a failure during one is
/// of level debug.
pub(crate) fn log(error: &database::Error, failed: &'static str) {
    if error.outage().is_some() {
        tracing::debug!(%error, "{failed}");
    } else {
        tracing::warn!(%error, "{failed}");
    }
}
