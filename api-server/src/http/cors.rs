//! Browser apps of other origins: those that the operator names may call, others may not.
//!
//! tower-http's `CorsLayer` does not fit: it answers every OPTIONS with 200, also on unknown paths and to other origins, where
//! this service answers with 404 and 405.

use std::{str::FromStr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// The methods that an app may use.
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, DELETE");
/// The headers that it may set.
const ALLOWED: HeaderValue = HeaderValue::from_static(
    "accept-language, authorization, content-type, idempotency-key, x-auth-token, x-request-id",
);
/// The headers that it may read.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "idempotent-replayed, retry-after, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, x-request-id",
);
/// How long a browser caches a preflight, seconds.
const MAX_AGE_S: HeaderValue = HeaderValue::from_static("3600");

/// The origin of a browser app, as browsers write it: `https://app.example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(HeaderValue);

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || {
            format!(
                "`{text}` is no origin: it is a scheme and a host, as in https://app.example.com or http://localhost:3000"
            )
        };
        let url: url::Url = text.parse().map_err(|_| refused())?;
        // Exactly as a browser serializes it: no path, no user, no default port, lower case.
        let origin = url.origin().ascii_serialization();
        if origin != text || text.contains('*') || !matches!(url.scheme(), "http" | "https") {
            return Err(refused());
        }
        HeaderValue::from_str(text).map(Self).map_err(|_| refused())
    }
}

/// Answers preflights, and lets the apps of these origins read their answers. Apps send tokens in headers of their own, so
/// that credentials of the browser (cookies) are not allowed.
pub(crate) async fn cors(State(origins): State<Arc<[Origin]>>, request: Request, next: Next) -> Response {
    let known = |origin: &&HeaderValue| origins.iter().any(|known| known.0 == **origin);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_writes() {
        for good in [
            "https://app.example.com",
            "http://localhost:3000",
            "http://[::1]:8080",
        ] {
            assert!(good.parse::<Origin>().is_ok(), "{good}");
        }
        for bad in [
            "*",
            "null",
            "",
            "app.example.com",
            "https://app.example.com/",
            "https://app.example.com:443",
            "https://App.example.com",
            "https://user@app.example.com",
            "ftp://app.example.com",
            "https://*.example.com",
            "file:///app",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }
}
