//! Whether writes succeed: by the last outcomes, with one log line for each change.
//!
//! Every write reports its outcome here. An outage is logged once when it begins and once when it ends, however many
//! requests it costs in between. Readiness probes with a write of its own ([`Health::ask`]), at most once in [`FRESH`].

use std::{
    future::Future,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use telemetry::events::database::Event;

use crate::{Error, Outage};

/// How long an outcome stands for that of the next write.
const FRESH: Duration = Duration::from_secs(1);

/// The state of one handle.
#[derive(Debug, Default)]
pub(crate) struct Health {
    state: Mutex<State>,
    /// One probe at a time.
    probing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// The last failure, until a write succeeds again.
    failure: Option<Error>,
    /// When the state was last confirmed.
    confirmed: Option<Instant>,
}

impl Health {
    /// A write succeeded. Where reading went on meanwhile, only a probe ends the outage: a small write may succeed where the
    /// next large one finds no room, and a transaction that changed nothing commits anywhere.
    pub(crate) fn wrote(&self) {
        let mut state = self.state.lock();
        if state.outage().is_some_and(Outage::is_readable) {
            return;
        }
        state.recover();
    }

    /// A write or the way to it failed. Returns whether that is news.
    pub(crate) fn failed(&self, error: &Error) -> bool {
        let Some(outage) = error.outage() else {
            return false;
        };
        // A lock that one transaction met, or one of several machines, does not stop others; a closed handle is being stopped.
        if outage == Outage::Busy || matches!(error, Error::Closed | Error::Machine(_)) {
            return false;
        }
        self.state.lock().fail(error, outage)
    }

    /// Notes the outcome of a statement of a transaction. A broken connection is no outage yet; the attempt to make
    /// another one decides.
    pub(crate) fn of_statement<T>(&self, outcome: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &outcome
            && error.outage().is_some_and(Outage::is_readable)
        {
            self.failed(error);
        }
        outcome
    }

    /// Why writes fail, as far as is known.
    pub(crate) fn outage(&self) -> Option<Outage> {
        self.state.lock().outage()
    }

    /// Whether writes succeed: by the last outcome when it is fresh, else by the probe's.
    pub(crate) async fn ask(&self, probe: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
        let _one = self.probing.lock().await;
        if let Some(known) = self.state.lock().fresh() {
            return known;
        }
        let outcome = probe.await;
        let mut state = self.state.lock();
        match &outcome {
            Ok(()) => state.recover(),
            Err(error) => {
                if let Some(outage) = error.outage() {
                    state.fail(error, outage);
                }
            }
        }
        outcome
    }
}

impl State {
    fn outage(&self) -> Option<Outage> {
        self.failure.as_ref().and_then(Error::outage)
    }

    fn fresh(&self) -> Option<Result<(), Error>> {
        let is_fresh = self.confirmed.is_some_and(|at| at.elapsed() < FRESH);
        is_fresh.then(|| self.failure.clone().map_or(Ok(()), Err))
    }

    fn recover(&mut self) {
        self.confirmed = Some(Instant::now());
        if self.failure.take().is_some() {
            Event::WritesSucceed.emit();
        }
    }

    fn fail(&mut self, error: &Error, outage: Outage) -> bool {
        self.confirmed = Some(Instant::now());
        let known = self.outage();
        // A refused statement does not say why the server accepts none; the probe has asked.
        if known == Some(Outage::Standby) && outage == Outage::ReadOnly {
            return false;
        }
        let is_news = known != Some(outage);
        self.failure = Some(error.clone());
        if is_news {
            let cure = outage.cure();
            Event::WritesFail { error, cure }.emit();
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails says where")]

    use super::*;

    fn full() -> Error {
        Error::Full("no room".into())
    }

    #[test]
    fn an_outage_is_news_once() {
        let health = Health::default();
        assert!(health.failed(&full()));
        assert!(!health.failed(&full()));
        assert!(health.failed(&Error::Unavailable("away".into())));
        health.wrote();
        assert_eq!(health.outage(), None);
        assert!(health.failed(&Error::Standby("standby".into())));
    }

    #[test]
    fn what_is_no_outage_changes_nothing() {
        let health = Health::default();
        for error in [
            Error::Busy("a row is locked".into()),
            Error::Engine("no such table".into()),
            Error::Closed,
        ] {
            assert!(!health.failed(&error));
            assert_eq!(health.outage(), None);
        }
    }

    #[tokio::test]
    async fn a_full_disk_ends_with_a_probe_only() {
        let health = Health::default();
        health.failed(&full());
        health.wrote();
        assert_eq!(health.outage(), Some(Outage::Full));
        // The outcome is fresh: the probe is not even begun.
        let asked = health.ask(async { panic!("a probe was made") }).await;
        assert!(matches!(asked, Err(Error::Full(_))));
        health.state.lock().confirmed = None;
        health.ask(async { Ok(()) }).await.unwrap();
        assert_eq!(health.outage(), None);
        health.ask(async { panic!("a probe was made") }).await.unwrap();
    }
}
