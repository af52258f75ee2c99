//! Liveness, readiness and version.

use axum::extract::{RawQuery, State};
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};

use crate::{
    app::App,
    http::{
        answer::{Answer, Envelope},
        docs::one_of,
        error::Error,
    },
    media::Media,
};

/// The feature level of this release: it grows with new endpoints, so that an app can adapt.
pub const FEATURE_LEVEL: u32 = 1;

/// The state of the service.
#[derive(Serialize, ToSchema)]
struct Health {
    #[schema(schema_with = health_status)]
    status: &'static str,
    /// With `?verbose`: each dependency.
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Checks>,
}

/// `degraded`: logins to IM nodes have to wait.
fn health_status() -> RefOr<Schema> {
    one_of(["ok", "degraded"])
}

/// The dependencies of the service.
#[derive(Serialize, ToSchema)]
struct Checks {
    /// The database answers and accepts writes.
    database: bool,
    /// The version of the database schema.
    schema_version: i64,
    /// The backplane answers.
    backplane: bool,
    /// The media store serves, as the last upload or read has found it; absent without a store. Chat does without.
    #[serde(skip_serializing_if = "Option::is_none")]
    media_store: Option<bool>,
}

/// The version that is running.
#[derive(Serialize, ToSchema)]
struct Version {
    /// The version of the program.
    version: &'static str,
    /// The commit that it was built from, or "unknown".
    commit: &'static str,
    /// The feature level of this version of REST.
    feature_level: u32,
}

/// Whether the process answers
#[utoipa::path(
    operation_id = "getLiveness",
    get, path = "/livez", tag = "service", responses((status = 200, body = Envelope<Health>))
)]
pub(crate) async fn livez() -> Result<Answer, Error> {
    Answer::one(&Health {
        status: "ok",
        checks: None,
    })
}

/// Whether the service can serve
#[utoipa::path(
    operation_id = "getReadiness",
    get, path = "/readyz", tag = "service",
    params(("verbose" = Option<bool>, Query, description = "Whether to list each dependency; the bare name counts as true")),
    responses((status = 200, body = Envelope<Health>))
)]
pub(crate) async fn readyz(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Answer, Error> {
    if app.shutdown.is_cancelled() {
        return Err(Error::unavailable("draining"));
    }
    let schema_version = app.database.schema_version().await?;
    if schema_version < database::LATEST_VERSION {
        return Err(Error::unavailable("the schema is older than the program"));
    }
    app.database.is_writable().await?;
    let backplane = app.backplane.is_available().await;
    let verbose = query.is_some_and(|query| {
        query
            .split('&')
            .any(|part| part.split('=').next() == Some("verbose"))
    });
    Answer::one(&Health {
        status: if backplane { "ok" } else { "degraded" },
        checks: verbose.then_some(Checks {
            database: true,
            schema_version,
            backplane,
            media_store: app.part::<Media>().serves(),
        }),
    })
}

/// The version that is running
#[utoipa::path(
    operation_id = "getVersion",
    get, path = "/version", tag = "service", responses((status = 200, body = Envelope<Version>))
)]
pub(crate) async fn version() -> Result<Answer, Error> {
    Answer::one(&Version {
        version: env!("CARGO_PKG_VERSION"),
        commit: program::COMMIT,
        feature_level: FEATURE_LEVEL,
    })
}
