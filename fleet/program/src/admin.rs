//! The admin listener: /metrics, /livez, /readyz and /about, for the operator's machines only.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt::Write,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{RawQuery, State},
    http::{Request, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub use crate::about::About;

/// Connections at once; a scraper and some probes need a handful.
const MAX_CONNECTIONS: usize = 64;
/// The longest wait for the head of a request: a probe sends it at once.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest wait for one readiness check: probes give up after some seconds themselves.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// How often histograms are drained when nobody scrapes, and dependencies looked at.
const UPKEEP: Duration = Duration::from_secs(5);
/// The wait after an accept that failed (no descriptor left): they come back when connections end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

type CheckFuture = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// What must be well for this program to be given work.
#[derive(Clone, Default)]
pub struct Readiness {
    checks: Arc<Vec<Check>>,
    draining: Arc<AtomicBool>,
    about: Option<Arc<About>>,
}

struct Check {
    name: &'static str,
    need: Need,
    run: Box<dyn Fn() -> CheckFuture + Send + Sync>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Without it, no work.
    Required,
    /// Without it, work goes on for a while.
    Degraded,
}

impl Readiness {
    /// Checks are added by [`ReadinessBuilder`].
    pub fn builder() -> ReadinessBuilder {
        ReadinessBuilder { checks: Vec::new() }
    }

    /// The same with what /about says.
    #[must_use]
    pub fn with_about(self, about: About) -> Self {
        Self {
            about: Some(Arc::new(about)),
            ..self
        }
    }

    /// From now on this program is not ready: it is being stopped.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Looks at all checks, puts what they say into the metrics, and logs each change.
    async fn observe(&self, away: &mut BTreeMap<&'static str, Instant>) {
        metrics::gauge!("huizhen_draining").set(f64::from(self.draining.load(Ordering::Relaxed)));
        for check in self.checks.iter() {
            let outcome = check.outcome().await;
            metrics::gauge!("huizhen_dependency_up", "dependency" => check.name)
                .set(f64::from(outcome.is_ok()));
            if check.need == Need::Required {
                log_change(away, check.name, outcome);
            }
        }
    }

    /// Runs all checks: whether work may be given, and a line for each.
    async fn report(&self) -> (bool, String) {
        let mut ready = true;
        let mut lines = String::new();
        if self.draining.load(Ordering::Relaxed) {
            ready = false;
            lines.push_str("draining: this program is being stopped\n");
        }
        for check in self.checks.iter() {
            let outcome = check.outcome().await;
            let name = check.name;
            let _ = match (outcome, check.need) {
                (Ok(()), _) => writeln!(lines, "{name}: ok"),
                (Err(problem), Need::Degraded) => writeln!(lines, "{name}: degraded: {problem}"),
                (Err(problem), Need::Required) => {
                    ready = false;
                    writeln!(lines, "{name}: failed: {problem}")
                }
            };
        }
        lines.push_str(if ready { "ready\n" } else { "not ready\n" });
        (ready, lines)
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

/// One line when a dependency goes away, one when it is back. What degrades only has lines of its own.
fn log_change(
    away: &mut BTreeMap<&'static str, Instant>,
    dependency: &'static str,
    outcome: Result<(), String>,
) {
    match outcome {
        Ok(()) => {
            if let Some(since) = away.remove(dependency) {
                tracing::info!(away_s = since.elapsed().as_secs(), "the {dependency} is back");
            }
        }
        Err(why) => {
            if !away.contains_key(dependency) {
                tracing::warn!(why, "the {dependency} is away; no work is taken until it is back");
                away.insert(dependency, Instant::now());
            }
        }
    }
}

/// Gathers the checks of a [`Readiness`].
pub struct ReadinessBuilder {
    checks: Vec<Check>,
}

impl ReadinessBuilder {
    /// Without this the program is not ready.
    #[must_use]
    pub fn require<F>(self, name: &'static str, check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.add(name, Need::Required, check)
    }

    /// Without this the program is ready, and says that it is degraded.
    #[must_use]
    pub fn degrade<F>(self, name: &'static str, check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.add(name, Need::Degraded, check)
    }

    /// All of them.
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

/// Serves the admin endpoints until `shutdown`; what is under way then is cut off.
pub async fn serve(
    listener: TcpListener,
    metrics: PrometheusHandle,
    readiness: Readiness,
    shutdown: CancellationToken,
) {
    let upkeep = metrics.clone();
    let observed = readiness.clone();
    let observing = shutdown.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(UPKEEP);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut away = BTreeMap::new();
        loop {
            tokio::select! {
                () = observing.cancelled() => return,
                _ = ticks.tick() => observed.observe(&mut away).await,
            }
        }
    });
    let routes = routes(metrics, readiness);
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut upkeep_timer = tokio::time::interval(UPKEEP);
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            _ = upkeep_timer.tick() => {
                upkeep.run_upkeep();
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the admin listener cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Over the limit the connection is closed unanswered: there is no room to tell it anything.
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            continue;
        };
        let routes = routes.clone();
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                let routes = routes.clone();
                async move { Ok::<_, Infallible>(answer(routes, request.map(Body::new)).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                () = shutdown.cancelled() => {}
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(%error, "an admin connection ended");
                },
            }
            drop(slot);
        });
    }
}

async fn answer(routes: Router, request: Request<Body>) -> Response {
    match routes.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn routes(metrics: PrometheusHandle, readiness: Readiness) -> Router {
    Router::new()
        .route("/about", get(about).with_state(readiness.clone()))
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz).with_state(readiness))
        .route("/metrics", get(scrape).with_state(metrics))
        .fallback(|| async {
            (
                StatusCode::NOT_FOUND,
                "here are /metrics, /livez, /readyz, /readyz?verbose and /about\n",
            )
        })
}

async fn about(State(readiness): State<Readiness>) -> Response {
    match &readiness.about {
        Some(about) => axum::Json(About::clone(about)).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn readyz(State(readiness): State<Readiness>, RawQuery(query): RawQuery) -> Response {
    let (ready, report) = readiness.report().await;
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let verbose = query.is_some_and(|query| query.split('&').any(|part| part.starts_with("verbose")));
    if verbose {
        return (status, report).into_response();
    }
    let verdict = if ready { "ready\n" } else { "not ready\n" };
    (status, verdict).into_response()
}

async fn scrape(State(metrics): State<PrometheusHandle>) -> Response {
    let process = crate::process::record();
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, process + &metrics.render()).into_response()
}
