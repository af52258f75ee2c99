//! REST.

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
}
