//! The verifications that operators decide about.

use axum::{
    extract::{FromRequestParts, Query, State as Service},
    http::request::Parts,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{State, Verification, table};
use crate::{
    app::App,
    caller::Operator,
    http::{
        answer::{Answer, Envelope, ListEnvelope},
        docs::PageParams,
        error::{Error, ErrorCode},
        input::{PageQuery, PathId},
    },
};

/// The parameter of a list of verifications.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct StateParam {
    /// `asked` by default.
    #[param(value_type = Option<State>)]
    state: Option<String>,
}

/// The state that a request asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StateQuery(State);

impl<S: Send + Sync> FromRequestParts<S> for StateQuery {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let refused = || {
            Error::invalid(
                "state",
                "应为 asked、approved、declined 或 suspended",
                "must be asked, approved, declined or suspended",
            )
        };
        let query = Query::<StateParam>::from_request_parts(parts, state).await;
        let Query(given) = query.map_err(|_| refused())?;
        let state = match given.state.as_deref() {
            None => Some(State::Asked),
            Some(word) => State::from_word(word),
        };
        state.map(Self).ok_or_else(refused)
    }
}

/// Doctors by the state of their verification
///
/// Those who wait for a decision by default, the newest first.
#[utoipa::path(
    operation_id = "listVerifications",
    get, path = "/operator/doctor_list", tag = "operator", params(StateParam, PageParams),
    responses(
        (status = 200, body = ListEnvelope<Verification>),
        (status = 403, description = "`operator.only`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(
    Service(app): Service<App>,
    _: Operator,
    StateQuery(state): StateQuery,
    page: PageQuery,
) -> Result<Answer, Error> {
    Answer::page(table::in_state(state).page(&app.database, &page).await?)
}

/// The verification of a doctor
///
/// With licence and pictures.
#[utoipa::path(
    operation_id = "getDoctorVerification",
    get, path = "/operator/doctor/{id}", tag = "operator", params(("id" = i64, Path, minimum = 1)),
    responses(
        (status = 200, body = Envelope<Verification>),
        (status = 403, description = "`operator.only`"),
        (status = 404, description = "`doctor.verification_not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn show(
    Service(app): Service<App>,
    _: Operator,
    PathId(id): PathId,
) -> Result<Answer, Error> {
    let known = table::verification(&app.database, id.get()).await?;
    Answer::one(&known.ok_or(ErrorCode::VerificationNotFound)?)
}
