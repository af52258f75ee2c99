//! All routes: served and documented from the same list.

use axum::{Router, middleware};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    account,
    app::App,
    chat, clinic, consult, doctor, family,
    http::{
        docs,
        error::{Error, ErrorCode},
        health, observe,
    },
    im, invitation, member, operator, team, vas,
};

/// The documented routes of every domain.
fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(docs::frame())
        .merge(account::routes())
        .merge(im::routes())
        .merge(team::routes())
        .merge(consult::routes())
        .merge(chat::routes())
        .merge(vas::routes())
        .merge(operator::routes())
        .merge(doctor::routes())
        .merge(member::routes())
        .merge(family::routes())
        .merge(clinic::routes())
        .merge(invitation::routes())
        .merge(health::routes())
}

/// The OpenAPI document.
pub fn document() -> Value {
    docs::complete(documented().into_openapi())
}

/// Everything that is served.
///
/// # Errors
/// When the document cannot be written.
pub(crate) fn router(app: App) -> anyhow::Result<Router> {
    let (router, document) = documented().split_for_parts();
    Ok(router
        .merge(docs::routes(&docs::complete(document))?)
        .fallback(|| std::future::ready(Error::new(ErrorCode::NoRoute)))
        .layer(middleware::from_fn_with_state(app.clone(), observe::observe))
        .with_state(app))
}
