//! Forgeries: bytes in Redis that were not made with the key of this fleet. They are dropped, counted and logged.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How often the log says so; there may be many.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// Where a forgery was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
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
pub(super) struct Forgeries(Mutex<Said>);

#[derive(Default)]
struct Said {
    at: Option<Instant>,
    /// Found since.
    unsaid: u64,
}

impl Forgeries {
    /// One more.
    pub(super) fn found(&self, place: Place) {
        metrics::counter!("huizhen_backplane_forged_total", "what" => place.name()).increment(1);
        let unsaid = {
            let mut said = self.0.lock();
            said.unsaid += 1;
            if said.at.is_some_and(|at| at.elapsed() < SAY_EVERY) {
                return;
            }
            said.at = Some(Instant::now());
            std::mem::take(&mut said.unsaid)
        };
        tracing::warn!(
            what = place.name(),
            found = unsaid,
            "something in Redis was not made by this fleet and is ignored; look who may write there (docs/operations.md, Redis)"
        );
    }
}
