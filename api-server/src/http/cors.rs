//! Browser apps of other origins: those that the operator names may call, others may not.
//!
//! tower-http's `CorsLayer` does not fit: it answers every OPTIONS with 200, also on unknown paths and to other origins, where
//! this service answers with 404 and 405.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::settings::Origin;

/// The methods that an app may use.
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, DELETE");
/// The headers that it may set.
const ALLOWED: HeaderValue = HeaderValue::from_static(
    "accept-language, authorization, content-range, content-type, idempotency-key, if-none-match, if-range, range, x-auth-token, \
     x-request-id",
);
/// The headers that it may read.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "content-range, etag, idempotent-replayed, retry-after, upload-offset, x-ratelimit-limit, x-ratelimit-remaining, \
     x-ratelimit-reset, x-request-id",
);
/// How long a browser caches a preflight, seconds.
const MAX_AGE_S: HeaderValue = HeaderValue::from_static("3600");

/// Answers preflights, and lets the apps of these origins read their answers. Apps send tokens in headers of their own, so
/// that credentials of the browser (cookies) are not allowed.
pub(crate) async fn cors(State(origins): State<Arc<[Origin]>>, request: Request, next: Next) -> Response {
    let known = |origin: &&HeaderValue| origins.iter().any(|known| known.header() == **origin);
    let origin = request.headers().get(header::ORIGIN).filter(known).cloned();
    let asks = *request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if asks && origin.is_some() {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if asks {
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_S);
        } else {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }
    response
}
