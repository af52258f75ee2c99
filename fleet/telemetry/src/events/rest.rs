//! REST.

use std::{fmt::Display, time::Duration};

crate::catalogue! {
    REQUEST_S: HistogramBy(
        "huizhen_rest_request_seconds",
        "route",
        &[],
        "How long REST requests take, by route, s",
    );
    REQUESTS: CounterBy(
        "huizhen_rest_requests_total",
        "route",
        &[],
        "REST requests, by method, route and status",
    );
    CONNECTIONS_REFUSED: Counter(
        "huizhen_rest_connections_refused_total",
        "REST connections over the limit",
    );
    MEDIA_STORE_AWAY: Gauge(
        "huizhen_media_store_away",
        "1 since an operation of the media store met an outage, 0 since one succeeded",
    );
    MEDIA_STORE_FAILURES: CounterBy(
        "huizhen_media_store_failures_total",
        "kind",
        &["slow", "down", "refused", "full", "faulty"],
        "Operations of the media store that met an outage",
    );
}

const TARGET: &str = "api_server";

/// A request, for its line and its metrics.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "fields are named as in the log line")]
pub struct Request<'a> {
    pub id: &'a str,
    /// One of the methods that are counted by name.
    pub method: &'static str,
    pub route: &'a str,
    pub status: u16,
    /// The error code; empty for an answer.
    pub error: &'a str,
}

/// Reports of the REST service.
#[expect(missing_docs, reason = "fields are named as in the log line")]
pub enum Event<'a> {
    /// A request got its answer.
    Answered { request: Request<'a>, took: Duration },
    /// A request failed by an internal error.
    Failed { request: Request<'a>, inner: &'a str },
    /// A request met an outage, which has lines of its own.
    MetOutage { request: Request<'a>, inner: &'a str },
    /// A connection was refused.
    ConnectionRefused,
    /// --rest-connections are open. The caller limits the rate of lines.
    ConnectionsExhausted { address: &'a dyn Display, untold: u64 },
    /// An address has its limit of connections. The caller limits the rate of lines.
    AddressConnectionsExhausted { address: &'a dyn Display, untold: u64 },
    /// An address exceeds its request rate. The caller limits the rate of lines.
    AddressRateExceeded { address: &'a dyn Display, untold: u64 },
    /// An address has exhausted a budget. The caller limits the rate of lines.
    AddressBudgetExhausted {
        address: &'a dyn Display,
        untold: u64,
        budget: &'static str,
    },
    /// Requests were still running after the time to drain.
    DrainTimedOut { connections: usize },
    /// A logout is completed later: the backplane is away, which has lines of its own.
    LogoutDelayed { user: i64, error: &'a dyn Display },
    /// Completed logouts could not be deleted, so that a sweep repeats them.
    LogoutRepeated { inner: &'a str },
    /// The sessions of a disabled account stay: the backplane is away, which has lines of its own.
    DisabledSessionsStay { user: i64, error: &'a dyn Display },
    /// An export was broken off: its reader is gone or stopped, or a read failed.
    ExportBroken { user: i64, inner: &'a str },
    /// A sweep failed.
    SweepFailed { inner: &'a str },
    /// A sweep met an outage, which has lines of its own.
    SweepMetOutage { inner: &'a str },
    /// Last uses of tokens were lost at the end.
    LastUsesLost { inner: &'a str },
    /// The media store was opened. It has no line: its gauge begins here, so that alerts find it.
    MediaStoreOpened,
    /// An operation of the media store met an outage.
    MediaStoreFailed { kind: &'static str },
    /// The begin of an outage of the media store.
    MediaStoreAway {
        kind: &'static str,
        why: &'a dyn Display,
    },
    /// Its end.
    MediaStoreBack,
    /// Names of an earlier release are not folded yet.
    NamesFoldedLater { inner: &'a str },
}

impl Event<'_> {
    /// Counts it and writes its line.
    pub fn emit(self) {
        match self {
            Self::Answered { request, took } => answered(request, took),
            Self::Failed { request, inner } => {
                let Request { id, route, error, .. } = request;
                tracing::error!(target: TARGET, request_id = id, route, error, inner, "a request failed");
            }
            Self::MetOutage { request, inner } => {
                let Request { id, route, error, .. } = request;
                tracing::debug!(target: TARGET, request_id = id, route, error, inner, "a request met an outage");
            }
            Self::ConnectionRefused => CONNECTIONS_REFUSED.increment(),
            Self::ConnectionsExhausted { address, untold } => tracing::warn!(
                target: TARGET,
                %address,
                untold,
                "a connection is refused: --rest-connections are open"
            ),
            Self::AddressConnectionsExhausted { address, untold } => tracing::warn!(
                target: TARGET,
                %address,
                untold,
                "a connection is refused: this address has its limit of connections without a user; if many users share it \
                 (a hospital, a carrier), raise --rest-connections-per-address; if it is a proxy, add it to --trusted-proxies"
            ),
            Self::AddressRateExceeded { address, untold } => tracing::warn!(
                target: TARGET,
                %address,
                untold,
                "requests are refused: this address exceeds its rate of requests without a valid token; if many users share \
                 it (a hospital, a carrier), raise --requests-per-s-address; if it is a proxy, add it to --trusted-proxies"
            ),
            Self::AddressBudgetExhausted {
                address,
                untold,
                budget,
            } => tracing::warn!(
                target: TARGET,
                %address,
                untold,
                budget,
                "an address has exhausted a budget; if many users share it (a hospital, a carrier), raise \
                 --sms-per-hour-address or --wrong-logins-address; if it is a proxy, add it to --trusted-proxies"
            ),
            Self::DrainTimedOut { connections } => {
                tracing::warn!(target: TARGET, connections, "requests did not end in time");
            }
            Self::LogoutDelayed { user, error } => {
                tracing::debug!(target: TARGET, user, %error, "a logout is completed later");
            }
            Self::LogoutRepeated { inner } => {
                tracing::debug!(target: TARGET, inner, "a sweep repeats completed logouts");
            }
            Self::DisabledSessionsStay { user, error } => tracing::warn!(
                target: TARGET,
                user,
                %error,
                "live sessions of a disabled account stay: the backplane is away"
            ),
            Self::ExportBroken { user, inner } => {
                tracing::warn!(target: TARGET, user, inner, "an export was broken off; its user asks again");
            }
            Self::SweepFailed { inner } => {
                tracing::warn!(target: TARGET, inner, "a sweep failed and is retried");
            }
            Self::SweepMetOutage { inner } => {
                tracing::debug!(target: TARGET, inner, "a sweep met an outage and is retried");
            }
            Self::LastUsesLost { inner } => {
                tracing::warn!(target: TARGET, inner, "last uses of tokens could not be saved");
            }
            Self::MediaStoreOpened => MEDIA_STORE_AWAY.set(0.0),
            Self::MediaStoreFailed { kind } => MEDIA_STORE_FAILURES.increment(kind),
            Self::MediaStoreAway { kind, why } => {
                MEDIA_STORE_AWAY.set(1.0);
                tracing::error!(
                    target: TARGET,
                    kind,
                    %why,
                    "the media store does not serve: uploads and downloads are refused until it does, chat goes on"
                );
            }
            Self::MediaStoreBack => {
                MEDIA_STORE_AWAY.set(0.0);
                tracing::info!(target: TARGET, "the media store serves again");
            }
            Self::NamesFoldedLater { inner } => {
                tracing::warn!(target: TARGET, inner, "names of an earlier release are folded later");
            }
        }
    }
}

#[expect(
    clippy::disallowed_macros,
    reason = "the catalogue has one label a metric, and this one has three"
)]
fn answered(request: Request<'_>, took: Duration) {
    let Request {
        id,
        method,
        route,
        status,
        error,
    } = request;
    metrics::counter!(
        "huizhen_rest_requests_total",
        "method" => method, "route" => route.to_owned(), "status" => status.to_string()
    )
    .increment(1);
    REQUEST_S.record(route.to_owned(), took.as_secs_f64());
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    tracing::debug!(target: TARGET, request_id = id, method, route, status, error, took_us, "request");
}
