//! The OpenAPI document, made from the very handlers that are served, and the page that shows it.

mod example;
mod share;

use axum::{
    Router,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use serde_json::Value;
use utoipa::{
    IntoParams, OpenApi,
    openapi::{
        ContentBuilder, InfoBuilder, OpenApi as Document, Ref, RefOr, ResponseBuilder,
        path::Operation,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::answer::Failure;

/// Security: the access token in its own header.
const TOKEN: &str = "access_token";
/// Security: the access token as a bearer token.
const BEARER: &str = "bearer";

/// The header of a write that may be sent again.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its documentation is used")]
pub(crate) struct IdempotencyKey {
    /// Chosen by the app, 1 to 128 characters. The same key with the same request is done once and answered as the first
    /// time, for 7 days.
    #[param(rename = "Idempotency-Key")]
    idempotency_key: Option<String>,
}

/// The parameters of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its documentation is used")]
pub(crate) struct PageParams {
    /// Items of a page: 1 to 200, 50 by default.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// `true` to be told the total as well.
    count: Option<bool>,
}

/// The frame of the document: what it is, how one logs in.
pub(crate) fn frame() -> Document {
    #[derive(OpenApi)]
    #[openapi(components(schemas(Failure)))]
    struct Frame;

    let mut document = Frame::openapi();
    document.info = InfoBuilder::new()
        .title("Huizhen REST")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(include_str!("docs.md")))
        .build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(
        TOKEN,
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-AUTH-TOKEN"))),
    );
    components.add_security_scheme(
        BEARER,
        SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()),
    );
    document
}

/// Adds what holds for all operations: the refusals that any of them can give, and the form of every refusal. Gives the
/// document as it is served.
pub(crate) fn complete(mut document: Document) -> Value {
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            complete_operation(operation);
        }
    }
    example::add(&mut document);
    // A document that cannot be written is none, which a test would see.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    share::share(&mut document);
    document
}

fn complete_operation(operation: &mut Operation) {
    let mut refusals = vec![
        ("429", "`request.rate_limited`"),
        ("500", "`server.internal`"),
        ("503", "`server.unavailable`, `server.read_only`"),
    ];
    if operation.security.is_some() {
        refusals.push(("401", "`auth.required`"));
    }
    if operation.parameters.is_some() || operation.request_body.is_some() {
        refusals.push(("400", "`request.invalid`, `request.bad_json`"));
    } else {
        // A query that is no text is refused on every route.
        refusals.push(("400", "`request.invalid`"));
    }
    if operation.request_body.is_some() {
        refusals.push(("408", "`request.body_timeout`"));
        refusals.push(("413", "`request.body_too_large`"));
        refusals.push(("415", "`request.not_json`"));
    }
    let keyed = operation
        .parameters
        .iter()
        .flatten()
        .any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.name == "Idempotency-Key"));
    if keyed {
        refusals.push(("409", "`idempotency.running`"));
        refusals.push(("422", "`idempotency.key_reused`"));
    }
    for (status, words) in refusals {
        let response = operation
            .responses
            .responses
            .entry(status.to_owned())
            .or_insert_with(|| RefOr::T(ResponseBuilder::new().build()));
        if let RefOr::T(response) = response {
            let known = std::mem::take(&mut response.description);
            response.description = if known.is_empty() {
                words.to_owned()
            } else {
                format!("{known}, {words}")
            };
        }
    }
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && status.as_str() >= "400"
        {
            let content = ContentBuilder::new()
                .schema(Some(Ref::from_schema_name("Failure")))
                .build();
            response
                .content
                .insert("application/json".to_owned(), content.into());
        }
    }
}

/// `/openapi.json` and the page `/docs` that shows it, with everything that it loads.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>(document: &Value) -> anyhow::Result<Router<S>> {
    let text = Bytes::from(serde_json::to_vec(document)?);
    let page = SwaggerUi::new("/docs").config(Config::new(["/openapi.json"]));
    Ok(Router::new()
        .route(
            "/openapi.json",
            get(move || std::future::ready(json(text.clone()))),
        )
        .merge(page))
}

fn json(text: Bytes) -> Response {
    let mut response = text.into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
