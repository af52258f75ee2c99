//! Entering the outcome of a payout.

use axum::extract::State;
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

/// The outcome at the bank.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"outcome": "paid", "reference": "2026120300012345"}))]
pub(crate) struct EnterOutcome {
    outcome: Outcome,
    /// The bank's reference, or why it failed.
    reference: Line<1, 200>,
}

/// Enters the outcome of a payout
///
/// Nothing moves until another operator has approved it; until then it can be entered anew. A repetition gets the same answer.
#[utoipa::path(
    operation_id = "enterPayout",
    post, path = "/operator/withdrawal/{id}/enter", tag = "operator", request_body = EnterOutcome,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Payout>),
        (status = 403, description = "`operator.only`"),
        (status = 404, description = "`withdrawal.not_found`"),
        (status = 409, description = "`withdrawal.ended`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn enter(
    State(app): State<App>,
    operator: Operator,
    PathId(id): PathId,
    Write { body, once }: Write<EnterOutcome>,
) -> Result<Answer, Error> {
    app.write(once, move |tx| {
        Box::pin(async move {
            let withdrawal = table::lock_payout(tx, id.get()).await?;
            if withdrawal.has_ended() {
                return Err(ErrorCode::WithdrawalEnded.into());
            }
            let reference = body.reference.into_string();
            let is_theirs = withdrawal.entered_by == Some(operator.id);
            if !is_theirs || !withdrawal.has_entry(body.outcome, Some(&reference)) {
                let now_ms = now_ms();
                table::enter(tx, id.get(), body.outcome, &reference, operator.id).await?;
                table::mark_handled(tx, &[id.get()], operator.id, now_ms).await?;
                let act = Row::by(operator.id, Act::WithdrawalEntered).about(subject(id.get()));
                let entry = format!("{} {reference}", body.outcome.as_str());
                write(tx, act.because(entry), now_ms).await?;
            }
            Ok(Written::new(Answer::one(&table::payout_in(tx, id.get()).await?)?))
        })
    })
    .await
}
