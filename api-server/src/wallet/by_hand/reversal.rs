//! Reversals (冲正): a mistake is taken back by a transfer that names it, once.
//!
//! Only transfers after whose reversal each later act still finds its money: a price is refunded, a consult cancelled, a payout
//! that failed is entered as such, and their records say so.

use axum::extract::State;
use database::Transaction;
use ledger::{Account, Kind, Movement};
use serde::Deserialize;
use utoipa::ToSchema;

use super::decide::{Asked, Decided};
use crate::{
    app::{App, Written},
    caller::Operator,
    clock::now_ms,
    http::{
        answer::{Answer, Envelope, ListEnvelope},
        docs::{IdempotencyKey, PageParams},
        error::{Error, ErrorCode},
        input::{PageQuery, PathId, Text, Write},
    },
    operator::audit::{self, Act, Row},
    wallet::table::{
        by_hand::{
            self,
            reversal::{self, NewReversal, Reversal},
        },
        order,
    },
};

/// Whether a transfer can be reversed.
const fn is_reversible(kind: Kind) -> bool {
    matches!(kind, Kind::TopUp | Kind::Credit | Kind::Refund | Kind::Join)
}

/// A reversal by hand.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewReversal, example = json!({"reason": "人工入账重复，工单 2026-118"}))]
pub(crate) struct AskedReversal {
    /// The audit log keeps it.
    reason: Text<4, 500>,
}

/// Asks for the reversal of a transfer
///
/// Of a top-up, a credit by hand, a refund of a price, or a membership fee. Nothing moves until another operator approves it.
/// Other transfers are taken back by their own acts: a price is refunded, a consult cancelled, a payout entered as failed.
#[utoipa::path(
    operation_id = "askForReversal",
    post, path = "/operator/transfer/{id}/reverse", tag = "operator", request_body = AskedReversal,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Reversal>),
        (status = 403, description = "`operator.only`"),
        (status = 404, description = "`transfer.not_found`"),
        (status = 409, description = "`reversal.asked`, `reversal.not_reversible`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn ask(
    State(app): State<App>,
    operator: Operator,
    PathId(transfer): PathId,
    Write { body, once }: Write<AskedReversal>,
) -> Result<Answer, Error> {
    let id = app.database.allocate_id(reversal::SEQUENCE).await?;
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            let of = reversal::transfer(tx, transfer.get()).await?;
            if !is_reversible(of.kind) {
                return Err(ErrorCode::NotReversible.into());
            }
            let movement = movement(tx, transfer.get()).await?;
            let wallet = movement.legs().iter().find_map(|leg| match leg.account {
                Account::Wallet(user) => Some((user, leg.amount_fen)),
                _ => None,
            });
            let (user, amount_fen) = wallet.ok_or(ErrorCode::NotReversible)?;
            let reason = body.reason.into_string();
            let new = NewReversal {
                id,
                of,
                user,
                amount_fen,
                reason: reason.clone(),
                by: operator.id,
            };
            let reversal = reversal::insert(tx, new, now_ms).await?;
            let row = Row::by(operator.id, Act::ReversalAsked).account(user.get());
            audit::write(tx, row.about(format!("reversal:{id}")).because(reason), now_ms).await?;
            Ok(Written::new(Answer::one(&reversal)?))
        })
    })
    .await
}

async fn movement(tx: &mut Transaction<'_>, transfer: i64) -> Result<Movement, Error> {
    let movement = Movement::reversal(tx, transfer).await?;
    movement.ok_or_else(|| ErrorCode::TransferNotFound.into())
}

impl Decided for Reversal {
    const MISSING: ErrorCode = ErrorCode::ReversalNotFound;
    const ENDED: ErrorCode = ErrorCode::ReversalEnded;
    const APPROVED: Act = Act::ReversalApproved;
    const REFUSED: Act = Act::ReversalRefused;

    fn member(&self) -> i64 {
        self.user_id
    }

    async fn movement(&self, tx: &mut Transaction<'_>) -> Result<Movement, Error> {
        // An order whose top-up is taken back cannot be paid back as well.
        if let Some(id) = self.cause.strip_prefix("order:") {
            let id = id.parse().map_err(Error::internal)?;
            if !order::take_back(tx, id).await? {
                return Err(ErrorCode::NotReversible.into());
            }
        }
        movement(tx, self.transfer_id).await
    }

    fn refusal(error: ledger::Error) -> Error {
        match error {
            ledger::Error::Insufficient(_) => ErrorCode::ReversalInsufficient.into(),
            other => other.into(),
        }
    }
}

/// Approves a reversal
///
/// By another operator than the one who asked: each posting of the transfer goes back. Refused where that would take an account
/// below zero. A repeated request gets the same answer.
#[utoipa::path(
    operation_id = "approveReversal",
    post, path = "/operator/reversal/{id}/approve", tag = "operator",
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Reversal>),
        (status = 403, description = "`operator.only`, `operator.own_approval`"),
        (status = 404, description = "`reversal.not_found`"),
        (status = 409, description = "`reversal.ended`, `reversal.insufficient`, `reversal.not_reversible`, `account.closed`, \
                                      `wallet.limit_reached`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn approve_reversal(app: State<App>, by: Operator, asked: Asked) -> Result<Answer, Error> {
    asked.approve::<Reversal>(app, by).await
}

/// Refuses a reversal
///
/// By another operator than the one who asked: nothing moves. A repeated request gets the same answer. The transfer may be asked
/// for again.
#[utoipa::path(
    operation_id = "refuseReversal",
    post, path = "/operator/reversal/{id}/refuse", tag = "operator",
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Reversal>),
        (status = 403, description = "`operator.only`, `operator.own_approval`"),
        (status = 404, description = "`reversal.not_found`"),
        (status = 409, description = "`reversal.ended`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn refuse_reversal(app: State<App>, by: Operator, asked: Asked) -> Result<Answer, Error> {
    asked.refuse::<Reversal>(app, by).await
}

/// Reversals
///
/// All of them, whatever came of them.
#[utoipa::path(
    operation_id = "listReversals",
    get, path = "/operator/reversal_list", tag = "operator", params(PageParams),
    responses((status = 200, body = ListEnvelope<Reversal>), (status = 403, description = "`operator.only`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(State(app): State<App>, _: Operator, page: PageQuery) -> Result<Answer, Error> {
    Answer::page(by_hand::list::<Reversal>().page(&app.database, &page).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfers_that_a_record_settles_later_are_not_reversed() {
        let reversible = Kind::ALL.into_iter().filter(|kind| is_reversible(*kind));
        let words: Vec<&str> = reversible.map(Kind::as_str).collect();
        assert_eq!(words, ["top_up", "join", "refund", "credit"]);
    }
}
