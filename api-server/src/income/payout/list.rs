//! The payouts of a month.

use axum::{
    extract::{FromRequestParts, Query, State},
    http::request::Parts,
};
use ledger::Month;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Payout;
use crate::{
    app::App,
    caller::Operator,
    clock::now_ms,
    http::{
        answer::{Answer, ListEnvelope},
        docs::PageParams,
        error::Error,
        input::{PageQuery, month},
    },
    income::{table, withdrawal::WithdrawalState},
};

/// The parameters of a list of payouts.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PayoutParams {
    /// The present one by default.
    #[param(schema_with = month::schema)]
    month: Option<String>,
    /// `asked` by default.
    #[param(value_type = Option<WithdrawalState>)]
    state: Option<String>,
}

/// The payouts that a request asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PayoutQuery {
    pub(super) month: Month,
    pub(super) state: WithdrawalState,
}

impl<S: Send + Sync> FromRequestParts<S> for PayoutQuery {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let query = Query::<PayoutParams>::from_request_parts(parts, state).await;
        let Query(given) = query.map_err(|_| month::refusal("month"))?;
        let month = match given.month.as_deref() {
            None => Some(Month::at(now_ms())),
            Some(text) => month::parse(text),
        };
        let state = match given.state.as_deref() {
            None => Some(WithdrawalState::Asked),
            Some(word) => WithdrawalState::from_word(word),
        };
        Ok(Self {
            month: month.ok_or_else(|| month::refusal("month"))?,
            state: state.ok_or_else(|| {
                Error::invalid(
                    "state",
                    "应为 asked、paid 或 failed",
                    "must be asked, paid or failed",
                )
            })?,
        })
    }
}

/// The payouts of a month
///
/// The withdrawals that were asked for in it, in one state, the newest first.
#[utoipa::path(
    operation_id = "listPayouts",
    get, path = "/operator/payout", tag = "operator", params(PayoutParams, PageParams),
    responses((status = 200, body = ListEnvelope<Payout>), (status = 403, description = "`operator.only`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(
    State(app): State<App>,
    _: Operator,
    query: PayoutQuery,
    page: PageQuery,
) -> Result<Answer, Error> {
    let list = table::payouts(query.month, query.state);
    Answer::page(list.page(&app.database, &page).await?)
}
