//! The form of a statement that a request asks for.

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::http::{
    error::{Error, Language},
    input::{PageQuery, preferred_language},
};

/// The form of a statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// Pages of JSON.
    #[default]
    Json,
    /// A table for spreadsheets.
    Csv,
    /// A page to print.
    Html,
}

/// The parameters of a statement.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct StatementParams {
    /// `json` by default.
    #[param(inline)]
    format: Option<Format>,
}

/// The form, and the page of JSON.
pub(crate) struct StatementQuery {
    pub(super) format: Format,
    pub(super) page: PageQuery,
    pub(super) language: Language,
}

impl<S: Send + Sync> FromRequestParts<S> for StatementQuery {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let page = PageQuery::from_request_parts(parts, state).await?;
        let query = Query::<StatementParams>::from_request_parts(parts, state).await;
        let Query(given) = query
            .map_err(|_| Error::invalid("format", "应为 json、csv 或 html", "must be json, csv or html"))?;
        Ok(Self {
            format: given.format.unwrap_or_default(),
            page,
            language: preferred_language(&parts.headers),
        })
    }
}
