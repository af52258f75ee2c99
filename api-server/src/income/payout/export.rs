//! The table for the bank.

use axum::{
    body::Body,
    extract::{FromRequestParts, Query, State},
    http::request::Parts,
    response::Response,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::list::{PayoutParams, PayoutQuery};
use crate::{
    account,
    app::App,
    caller::Operator,
    clock::now_ms,
    http::{answer::csv, error::Error},
    income::table::{self, Due},
    operator::audit::{Act, Row, write},
};

/// The parameters of an export.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportParams {
    /// `true` to repeat also what other operators exported.
    again: Option<bool>,
}

/// Whether the exports of others are repeated.
pub(crate) struct Again(bool);

impl<S: Send + Sync> FromRequestParts<S> for Again {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let query = Query::<ExportParams>::from_request_parts(parts, state).await;
        let Query(given) =
            query.map_err(|_| Error::invalid("again", "应为 true 或 false", "must be true or false"))?;
        Ok(Self(given.again.unwrap_or(false)))
    }
}

const COLUMNS: [&str; 9] = [
    "withdrawal_id 提现编号",
    "team_id 团队编号",
    "team 团队",
    "kind 账户类型",
    "holder 户名",
    "bank 开户行",
    "account_number 账号",
    "amount_yuan 金额（元）",
    "asked_by 申请人",
];

/// The payouts of a month as CSV for the bank
///
/// The withdrawals that were asked for in the month, have no outcome entered and were exported by no other operator, with whole
/// account numbers: the oldest first, 10,000 at most; the rest follows when these have outcomes. `again=true` repeats what others
/// exported: pay nothing twice. The operator who exports a withdrawal may not approve it.
#[utoipa::path(
    operation_id = "createPayoutExport",
    get, path = "/operator/payout/export", tag = "operator", params(PayoutParams, ExportParams),
    responses(
        (status = 200, body = String, content_type = "text/csv", description = "A line for each withdrawal."),
        (status = 403, description = "`operator.only`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn export(
    State(app): State<App>,
    operator: Operator,
    query: PayoutQuery,
    Again(again): Again,
) -> Result<Response, Error> {
    let month = query.month;
    let due = app
        .database
        .transaction(move |tx| {
            Box::pin(async move {
                let now_ms = now_ms();
                let due = table::export(tx, month, again, operator.id, now_ms).await?;
                let act = Row::by(operator.id, Act::PayoutsExported).about(format!("payout:{month}"));
                write(tx, act.because(format!("{} withdrawals", due.len())), now_ms).await?;
                account::lock_device(tx, &operator).await?;
                Ok::<_, Error>(due)
            })
        })
        .await?;
    let lines: String = due.iter().map(line).collect();
    let text = format!("{}{}{lines}", csv::BOM, csv::line(COLUMNS));
    Ok(csv::response(Body::from(text), &format!("payout-{month}")))
}

fn line(due: &Due) -> String {
    csv::line([
        due.withdrawal_id.to_string().as_str(),
        &due.team_id.to_string(),
        &due.team_name,
        &due.kind,
        &due.holder,
        &due.bank,
        &due.account_number,
        &format!("{}.{:02}", due.amount_fen / 100, due.amount_fen % 100),
        &due.asked_by.to_string(),
    ])
}
