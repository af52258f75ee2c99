//! The OpenAPI document, generated from the handlers that are served, and its page.
//!
//! The types of [`crate::http::input`] that check limits document them too. Example answers are recorded from a running
//! service: `recorded.json`.

mod absent;
mod answers;
mod complete;
mod schema;
mod share;

use axum::{
    Router,
    http::{HeaderValue, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use bytes::Bytes;
use serde_json::Value;
use tokio::{sync::OnceCell, task::spawn_blocking};
use utoipa::{
    IntoParams, OpenApi,
    openapi::{
        InfoBuilder, License, OpenApi as Document, Required, ServerBuilder,
        path::{Parameter, ParameterBuilder, ParameterIn},
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
        tag::TagBuilder,
    },
};
use utoipa_swagger_ui::{Config, SwaggerUi};

pub(crate) use complete::complete;
pub(crate) use schema::{cursor, error_code, error_status, no, ok_status, one_of, yes};

use crate::http::{answer::Failure, error::Error};

/// Security: the access token in its own header.
const TOKEN: &str = "access_token";
/// Security: the access token as a bearer token.
const BEARER: &str = "bearer";

/// The areas of the service.
const TAGS: [(&str, &str); 16] = [
    ("account", "Accounts and the devices that they are logged in on."),
    ("im", "How to reach the IM nodes."),
    (
        "team",
        "Teams of doctors, their assistants (群助手), members and invitations.",
    ),
    (
        "income",
        "A team's income (团队收入): its sums, withdrawals (提现) and statements.",
    ),
    ("consult", "Consults of a patient with the doctors of a team."),
    (
        "media",
        "Pictures, voice messages, videos and files: uploads, and who reads them.",
    ),
    ("chat", "Private chats of two."),
    (
        "vas",
        "Value-added services (增值服务), which doctors propose and patients decide on.",
    ),
    (
        "operator",
        "Operators of the platform; the audit log has their acts.",
    ),
    ("doctor", "Pages of doctors."),
    ("member", "Members' (会员) own records."),
    (
        "wallet",
        "Members' wallets: balance, record, top-ups and the way back.",
    ),
    ("family", "Members' families, for whom members begin consults."),
    ("clinic", "Clinics, their doctors and invitations."),
    (
        "invitation",
        "Invitations into teams and clinics that a doctor received.",
    ),
    ("service", "Liveness, readiness and version of the service."),
];

/// The header of a write that may be repeated.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its documentation is used")]
pub(crate) struct IdempotencyKey {
    #[param(rename = "Idempotency-Key", schema_with = schema::idempotency_key, required = false)]
    idempotency_key: Option<String>,
}

/// The header of a write that moves money.
pub(crate) struct DemandedKey;

/// By hand: the macro ignores `required` beside `schema_with`.
impl IntoParams for DemandedKey {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let key = ParameterBuilder::new()
            .name("Idempotency-Key")
            .parameter_in(ParameterIn::Header)
            .required(Required::True)
            .schema(Some(schema::idempotency_key()));
        vec![key.build()]
    }
}

/// The parameters of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its documentation is used")]
pub(crate) struct PageParams {
    #[param(schema_with = schema::limit, required = false)]
    limit: Option<u32>,
    #[param(schema_with = schema::asked_cursor, required = false)]
    cursor: Option<String>,
    /// `true` to get the total as well.
    count: Option<bool>,
}

/// The frame of the document: info, servers, tags, security.
pub(crate) fn frame() -> Document {
    #[derive(OpenApi)]
    #[openapi(components(schemas(Failure)))]
    struct Frame;

    let mut document = Frame::openapi();
    let mut license = License::new("Apache-2.0");
    license.identifier = Some("Apache-2.0".to_owned());
    document.info = InfoBuilder::new()
        .title("Huizhen REST")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(include_str!("docs.md")))
        .license(Some(license))
        .build();
    let server = |url: &str, description: &str| {
        ServerBuilder::new()
            .url(url)
            .description(Some(description))
            .build()
    };
    document.servers = Some(vec![
        server("/", "The service that serves this document"),
        server(
            "http://127.0.0.1:8080",
            "A service on this machine with default settings",
        ),
    ]);
    let tag = |(name, description)| {
        TagBuilder::new()
            .name(name)
            .description(Some(description))
            .build()
    };
    document.tags = Some(TAGS.map(tag).into());
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

/// The document's text, made when it is first asked for: most processes never are, and a start costs less without it.
static TEXT: OnceCell<Bytes> = OnceCell::const_new();

/// `/openapi.json` and the page `/docs` with its assets.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>(document: fn() -> Value) -> Router<S> {
    let page = SwaggerUi::new("/docs").config(Config::new(["/openapi.json"]));
    Router::new()
        .route("/openapi.json", get(move || written(document)))
        // The bare address leads browsers to the documentation.
        .route("/", get(|| std::future::ready(Redirect::to("/docs"))))
        .merge(page)
}

/// Makes the document where it holds up no other request.
async fn written(document: fn() -> Value) -> Result<Response, Error> {
    let make = || async move {
        let made = spawn_blocking(move || document().to_string()).await;
        made.map(Bytes::from).map_err(Error::internal)
    };
    Ok(json(TEXT.get_or_try_init(make).await?.clone()))
}

/// Every operation of a document.
fn operations(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let items = document["paths"].as_object_mut().into_iter().flatten();
    items.flat_map(|(_, item)| {
        item.as_object_mut()
            .into_iter()
            .flatten()
            .map(|(_, operation)| operation)
    })
}

fn json(text: Bytes) -> Response {
    let mut response = text.into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
