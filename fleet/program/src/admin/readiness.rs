//! Whether this process can do its work, as its dependencies, its vital tasks and its drain decide.

use std::{
    collections::BTreeMap,
    fmt::Write,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ::telemetry::{
    events::program::{DEPENDENCY_UP, DRAINING, Event},
    task,
};
use tokio::time::{Instant, MissedTickBehavior, timeout};

use super::About;

/// The longest wait for one check: probes give up after some seconds themselves.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// How often dependencies are checked while no probe comes.
const OBSERVE_EVERY: Duration = Duration::from_secs(5);

type CheckFuture = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// The checks of a process; cloning it is cheap.
#[derive(Clone, Default)]
pub struct Readiness {
    checks: Arc<Vec<Check>>,
    draining: Arc<AtomicBool>,
    about: Option<Arc<About>>,
}

/// The answer of /readyz.
pub(super) struct Report {
    pub(super) is_ready: bool,
    /// A line for each check.
    pub(super) lines: String,
    /// The last line.
    pub(super) verdict: String,
}

struct Check {
    name: &'static str,
    need: Need,
    run: Box<dyn Fn() -> CheckFuture + Send + Sync>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Its failure makes the process unready.
    Required,
    /// Work goes on for a while without it.
    Degraded,
}

impl Readiness {
    /// Begins a list of checks.
    pub fn builder() -> ReadinessBuilder {
        ReadinessBuilder { checks: Vec::new() }
    }

    /// Adds the answer of /about.
    #[must_use]
    pub fn with_about(self, about: About) -> Self {
        Self {
            about: Some(Arc::new(about)),
            ..self
        }
    }

    pub(super) fn about(&self) -> Option<&About> {
        self.about.as_deref()
    }

    /// Makes the process unready for good: it is being stopped.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Checks all dependencies again and again, updates their metrics and logs each change. It never returns.
    pub(super) async fn keep_observing(&self) {
        let mut ticks = tokio::time::interval(OBSERVE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut away = BTreeMap::new();
        loop {
            ticks.tick().await;
            self.observe(&mut away).await;
        }
    }

    async fn observe(&self, away: &mut BTreeMap<&'static str, Instant>) {
        DRAINING.set(f64::from(self.draining.load(Ordering::Relaxed)));
        for check in self.checks.iter() {
            let outcome = check.outcome().await;
            DEPENDENCY_UP.set(check.name, f64::from(outcome.is_ok()));
            if check.need == Need::Required {
                log_change(away, check.name, outcome);
            }
        }
    }

    /// Runs all checks.
    pub(super) async fn report(&self) -> Report {
        let mut is_ready = true;
        let mut lines = String::new();
        if self.draining.load(Ordering::Relaxed) {
            is_ready = false;
            lines.push_str("draining: this program is being stopped\n");
        }
        for check in self.checks.iter() {
            let outcome = check.outcome().await;
            let name = check.name;
            let _ = match (outcome, check.need) {
                (Ok(()), _) => writeln!(lines, "{name}: ok"),
                (Err(problem), Need::Degraded) => writeln!(lines, "{name}: degraded: {problem}"),
                (Err(problem), Need::Required) => {
                    is_ready = false;
                    writeln!(lines, "{name}: failed: {problem}")
                }
            };
        }
        let verdict = match task::failed() {
            Some(task) => format!("not ready: the vital task {task} failed, and this process ends\n"),
            None if is_ready => "ready\n".to_owned(),
            None => "not ready\n".to_owned(),
        };
        Report {
            is_ready: is_ready && task::failed().is_none(),
            lines,
            verdict,
        }
    }
}

impl Check {
    async fn outcome(&self) -> Result<(), String> {
        match timeout(CHECK_TIMEOUT, (self.run)()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("no answer within {} s", CHECK_TIMEOUT.as_secs())),
        }
    }
}

/// Logs the beginning and the end of an outage. A degrading dependency logs its own.
fn log_change(
    away: &mut BTreeMap<&'static str, Instant>,
    dependency: &'static str,
    outcome: Result<(), String>,
) {
    match outcome {
        Ok(()) => {
            if let Some(since) = away.remove(dependency) {
                Event::DependencyBack {
                    dependency,
                    away: since.elapsed(),
                }
                .emit();
            }
        }
        Err(why) => {
            if !away.contains_key(dependency) {
                Event::DependencyAway {
                    dependency,
                    why: &why,
                }
                .emit();
                away.insert(dependency, Instant::now());
            }
        }
    }
}

/// Collects the checks of a [`Readiness`].
pub struct ReadinessBuilder {
    checks: Vec<Check>,
}

impl ReadinessBuilder {
    /// Adds a check whose failure makes the process unready.
    #[must_use]
    pub fn require<F>(self, name: &'static str, check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.add(name, Need::Required, check)
    }

    /// Adds a check whose failure is reported and leaves the process ready.
    #[must_use]
    pub fn degrade<F>(self, name: &'static str, check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.add(name, Need::Degraded, check)
    }

    /// Ends the list.
    pub fn build(self) -> Readiness {
        Readiness {
            checks: Arc::new(self.checks),
            draining: Arc::default(),
            about: None,
        }
    }

    fn add<F>(mut self, name: &'static str, need: Need, check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.checks.push(Check {
            name,
            need,
            run: Box::new(move || Box::pin(check())),
        });
        self
    }
}
