//! Approving what another operator entered.

use axum::extract::State;
use ledger::{Fen, Movement, Posted, Transfer};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Outcome, Payout, subject};
use crate::{
    app::{App, Written},
    caller::Operator,
    clock::now_ms,
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Line, PathId, Write},
    },
    income::table,
    operator::audit::{Act, Row, write},
};

/// The entry that is approved, as the operator saw it: where another one was entered since, nothing is approved.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"outcome": "paid", "reference": "2026120300012345"}))]
pub(crate) struct ApproveOutcome {
    outcome: Outcome,
    /// By default any.
    reference: Option<Line<1, 200>>,
}

/// Approves the outcome of a payout
///
/// By another operator than entered or exported it. The money leaves, or is the team's income again. A repetition gets the same
/// answer.
#[utoipa::path(
    operation_id = "approvePayout",
    post, path = "/operator/withdrawal/{id}/approve", tag = "operator", request_body = ApproveOutcome,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Payout>),
        (status = 403, description = "`operator.only`, `operator.own_approval`"),
        (status = 404, description = "`withdrawal.not_found`"),
        (status = 409, description = "`withdrawal.not_entered`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn approve(
    State(app): State<App>,
    operator: Operator,
    PathId(id): PathId,
    Write { body, once }: Write<ApproveOutcome>,
) -> Result<Answer, Error> {
    let transfer = app.database.allocate_id(ledger::SEQUENCE).await?;
    app.write(once, move |tx| {
        Box::pin(async move {
            let id = id.get();
            let withdrawal = table::lock_payout(tx, id).await?;
            let outcome = body.outcome;
            if !withdrawal.has_entry(outcome, body.reference.as_deref()) {
                return Err(ErrorCode::WithdrawalNotEntered.into());
            }
            if table::has_handled(tx, id, operator.id).await? {
                return Err(ErrorCode::OwnApproval.into());
            }
            if !withdrawal.has_ended() {
                let now_ms = now_ms();
                let amount = Fen::new(withdrawal.amount_fen);
                let amount = amount.ok_or_else(|| Error::internal("withdrawal.amount_fen is no amount"))?;
                table::approve(tx, id, outcome, operator.id, now_ms).await?;
                let movement = match outcome {
                    Outcome::Paid => Movement::paid(id, withdrawal.team_id, amount),
                    Outcome::Failed => Movement::failed(id, withdrawal.team_id, amount),
                };
                let transfer = Transfer {
                    id: transfer,
                    movement,
                    by: Some(operator.id),
                    now_ms,
                };
                if ledger::post(tx, transfer).await? == Posted::Before {
                    return Err(Error::internal("an open withdrawal was settled before"));
                }
                let act = Row::by(operator.id, Act::WithdrawalApproved).about(subject(id));
                write(tx, act.because(outcome.as_str().to_owned()), now_ms).await?;
            }
            Ok(Written::new(Answer::one(&table::payout_in(tx, id).await?)?))
        })
    })
    .await
}
