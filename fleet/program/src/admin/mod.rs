//! The admin listener: /metrics, /livez, /readyz and /about, for the operator's machines only.

mod about;
mod readiness;

use std::{convert::Infallible, sync::Arc, time::Duration};

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
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

pub use about::About;
pub use readiness::{Readiness, ReadinessBuilder};

use crate::{accept, machine::usage};

/// Connections at once; a scraper and some probes need a handful.
const MAX_CONNECTIONS: usize = 64;
/// The longest wait for the head of a request: a probe sends it at once.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How often histograms are drained while no scraper comes.
const UPKEEP: Duration = Duration::from_secs(5);

/// Serves the admin endpoints until `shutdown`, which also cuts off the requests in flight.
pub async fn serve(
    listener: TcpListener,
    metrics: PrometheusHandle,
    readiness: Readiness,
    shutdown: CancellationToken,
) {
    let door = accept::Door {
        name: "admin",
        remedy: "raise the open-file limit",
        failures: None,
    };
    let routes = routes(metrics.clone(), readiness.clone());
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let connections = TaskTracker::new();
    let stop = shutdown.clone();
    let take = move |stream, _| {
        // Over the limit a connection is closed unanswered: an answer would need resources, too.
        let Ok(slot) = slots.clone().try_acquire_owned() else {
            return;
        };
        let connection = connection(stream, routes.clone());
        let stop = stop.clone();
        connections.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = connection => {}
            }
            drop(slot);
        });
    };
    let upkeep = async {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = keep_draining(&metrics) => {}
            () = readiness.keep_observing() => {}
        }
    };
    tokio::join!(accept::run(listener, door, shutdown.clone(), take), upkeep);
}

async fn keep_draining(metrics: &PrometheusHandle) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        metrics.run_upkeep();
    }
}

async fn connection(stream: TcpStream, routes: Router) {
    let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
        let routes = routes.clone();
        async move { Ok::<_, Infallible>(answer(routes, request.map(Body::new)).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "an admin connection ended");
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
    match readiness.about() {
        Some(about) => axum::Json(about.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn readyz(State(readiness): State<Readiness>, RawQuery(query): RawQuery) -> Response {
    let report = readiness.report().await;
    let status = if report.is_ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let verbose = query.is_some_and(|query| query.split('&').any(|part| part.starts_with("verbose")));
    let text = if verbose {
        report.lines + &report.verdict
    } else {
        report.verdict
    };
    (status, text).into_response()
}

async fn scrape(State(metrics): State<PrometheusHandle>) -> Response {
    let process = usage::record();
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, process + &metrics.render()).into_response()
}
