//! The middleware around all routes: request id, language, limits, authentication, error envelopes, metrics.

use std::{panic::AssertUnwindSafe, time::Instant};

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use telemetry::events::rest::{self as report, Event};

use crate::{
    account::authenticate,
    app::App,
    caller::Authentication,
    http::{
        address::{ClientAddress, Peer},
        answer::{Failure, WindowShown, write_headers},
        error::{Error, ErrorCode, Language},
        input::{check_target, preferred_language},
        limits::Budget,
        server::Connection,
    },
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest request id that is accepted, bytes.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// The middleware around all routes.
pub(crate) async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = request_id(request.headers());
    let language = preferred_language(request.headers());
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());

    let mut budget = None;
    let mut response = match admit(&app, &mut request, &mut budget).await {
        Ok(()) => AssertUnwindSafe(next.run(request))
            .catch_unwind()
            .await
            .unwrap_or_else(|_| Error::internal("a handler panicked").into_response()),
        Err(error) => error.into_response(),
    };

    if response.status() == StatusCode::METHOD_NOT_ALLOWED && response.extensions().get::<Error>().is_none() {
        response.extensions_mut().insert(Error::new(ErrorCode::NoMethod));
    }
    let refused = response.extensions_mut().remove::<Error>();
    if let Some(error) = &refused {
        write_failure(&mut response, error, language, &request_id);
    }
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    if let Some(budget) = budget {
        write_budget(response.headers_mut(), budget);
    }

    let report = report::Request {
        id: &request_id,
        method: label(&method),
        route: &route,
        status: response.status().as_u16(),
        error: refused.as_ref().map_or("", |error| error.code().as_str()),
    };
    if let Some(error) = &refused {
        report_failure(report, error);
    }
    Event::Answered {
        request: report,
        took: started.elapsed(),
    }
    .emit();
    response
}

fn report_failure(request: report::Request<'_>, error: &Error) {
    let inner = error.inner().unwrap_or("");
    if error.is_outage() {
        Event::MetOutage { request, inner }.emit();
    } else if error.code().status().is_server_error() {
        Event::Failed { request, inner }.emit();
    }
}

/// Authenticates a request and spends it from the rate of its user, or of its address without one.
async fn admit(app: &App, request: &mut Request, left: &mut Option<Budget>) -> Result<(), Error> {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    let address = peer.map(|peer| {
        let forwarded = request.headers().get_all("x-forwarded-for").iter();
        let forwarded: Vec<&str> = forwarded.filter_map(|value| value.to_str().ok()).collect();
        app.trusted_proxies.client(peer, forwarded.into_iter())
    });
    if let Some(address) = address {
        request.extensions_mut().insert(ClientAddress(address));
    }
    check_target(request.uri())?;
    let authentication = match token(request.headers()) {
        None => Authentication::Anonymous,
        Some(token) => {
            if let Some(address) = address {
                pass(app.limits.take_lookup(address), &mut None)?;
            }
            match authenticate(app, token).await {
                Ok(Some(user)) => Authentication::User(user),
                Ok(None) => Authentication::Anonymous,
                // Only routes that ask for a user fail.
                Err(error) => Authentication::Failed(error),
            }
        }
    };
    match (&authentication, address) {
        // Requests and connections of a user count for the user, whatever their address.
        (Authentication::User(user), _) => {
            pass(app.limits.take_user(user.id), left)?;
            if let Some(connection) = request.extensions().get::<Connection>() {
                connection.belongs_to(user.id);
            }
        }
        (_, Some(address)) => pass(app.limits.take_address(address), left)?,
        (_, None) => {}
    }
    request.extensions_mut().insert(authentication);
    Ok(())
}

/// Keeps the tighter of the two rates for the headers.
fn pass(budget: Budget, left: &mut Option<Budget>) -> Result<(), Error> {
    if left.is_none_or(|other| budget.remaining <= other.remaining) {
        *left = Some(budget);
    }
    match budget.retry_after_s {
        None => Ok(()),
        Some(seconds) => Err(Error::new(ErrorCode::RateLimited).retry_after(seconds)),
    }
}

/// A method as a metric label. Clients can invent methods, and each label lives as long as the process.
fn label(method: &Method) -> &'static str {
    let known = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"];
    known
        .into_iter()
        .find(|known| *known == method.as_str())
        .unwrap_or("other")
}

/// The one token of a request. Two different tokens, or a repeated header, are ambiguous, and a proxy may have read another
/// one than this service would: such a request has none.
fn token(headers: &HeaderMap) -> Option<&str> {
    let own = single(headers, &HeaderName::from_static("x-auth-token")).ok()?;
    let bearer = single(headers, &header::AUTHORIZATION).ok()?.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    match (own, bearer) {
        (Some(own), Some(bearer)) => (own == bearer).then_some(own),
        (own, bearer) => own.or(bearer),
    }
}

/// The text of a header that may occur once.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Ambiguous> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Ambiguous),
        (Some(_), Some(_)) => Err(Ambiguous),
    }
}

/// A header that is ambiguous.
struct Ambiguous;

/// The request's own id if it is plain enough for a log, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| {
            (1..=MAX_REQUEST_ID_BYTES).contains(&id.len())
                && id
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
        });
    given.map_or_else(|| hex::encode(rand::random::<[u8; 12]>()), str::to_owned)
}

fn write_failure(response: &mut Response, error: &Error, language: Language, request_id: &str) {
    let message = error.message(language);
    let failure = Failure {
        success: false,
        code: error.code().status().as_u16(),
        error: error.code().as_str(),
        message: &message,
        field: error.at(),
        window: error.window().map(WindowShown::from),
        limit: error.limit(),
        refundable_fen: error.refundable_fen(),
        request_id,
    };
    // Serializing strings and numbers cannot fail.
    let body = serde_json::to_vec(&failure).unwrap_or_default();
    *response.body_mut() = Body::from(body);
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    write_headers(headers);
    if let Some(seconds) = error.retry_after_s() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if error.code() == ErrorCode::AuthRequired {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
}

fn write_budget(headers: &mut HeaderMap, budget: Budget) {
    headers.insert("x-ratelimit-limit", HeaderValue::from(budget.limit));
    headers.insert("x-ratelimit-remaining", HeaderValue::from(budget.remaining));
    headers.insert("x-ratelimit-reset", HeaderValue::from(budget.reset_s));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token_of(lines: &[(&'static str, &str)]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        token(&headers).map(str::to_owned)
    }

    #[test]
    fn a_request_carries_one_token() {
        for good in [
            &[("x-auth-token", "a")][..],
            &[("authorization", "Bearer a")],
            &[("authorization", "bearer  a")],
            &[("x-auth-token", "a"), ("authorization", "Bearer a")],
            // A proxy's credentials do not concern this service.
            &[("x-auth-token", "a"), ("authorization", "Basic eDp5")],
        ] {
            assert_eq!(token_of(good).as_deref(), Some("a"), "{good:?}");
        }
        for bad in [
            &[("x-auth-token", "a"), ("x-auth-token", "b")][..],
            &[("x-auth-token", "a"), ("x-auth-token", "a")],
            &[("x-auth-token", "a"), ("x-auth-token", "")],
            &[("x-auth-token", "a"), ("authorization", "Bearer b")],
            &[("x-auth-token", ""), ("authorization", "Bearer a")],
            &[("x-auth-token", "a"), ("authorization", "Bearer ")],
            &[("authorization", "Bearer a"), ("authorization", "Bearer b")],
            &[("authorization", "Bearer a"), ("authorization", "Basic eDp5")],
            &[
                ("x-auth-token", "a"),
                ("authorization", "Bearer a"),
                ("authorization", "Bearer a"),
            ],
            &[("x-auth-token", "é"), ("authorization", "Bearer a")],
            &[("authorization", "é")],
            &[("authorization", "Bearer")],
            &[],
        ] {
            assert_eq!(token_of(bad), None, "{bad:?}");
        }
    }
}
