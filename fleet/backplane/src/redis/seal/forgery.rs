//! Forgeries: bytes in Redis that were not made with the key of this fleet. They are dropped, counted and logged.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How often they are logged; there may be many.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// Where a forgery was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Publication,
    Password,
    Login,
    Node,
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Self::Publication => "publication",
            Self::Password => "password",
            Self::Login => "login",
            Self::Node => "node",
        }
    }
}

/// The forgeries that one process has found.
#[derive(Default)]
pub(crate) struct Forgeries(Mutex<Logged>);

#[derive(Default)]
struct Logged {
    at: Option<Instant>,
    /// Found since.
    since: u64,
}

impl Forgeries {
    /// One more.
    pub(crate) fn found(&self, place: Place) {
        metrics::counter!("huizhen_backplane_forged_total", "what" => place.name()).increment(1);
        let found = {
            let mut logged = self.0.lock();
            logged.since += 1;
            if logged.at.is_some_and(|at| at.elapsed() < LOG_EVERY) {
                return;
            }
            logged.at = Some(Instant::now());
            std::mem::take(&mut logged.since)
        };
        tracing::warn!(
            what = place.name(),
            found,
            "something in Redis was not made by this fleet and is ignored; look who may write there (docs/operations.md, Redis)"
        );
    }
}
