//! Refunds of prices, by the team's owner or an operator.

use axum::extract::State;
use database::Transaction;
use journal::record::Event;
use ledger::{Fen, Movement, Transfer};
use proto::{ConversationId, wire::RefundEvent};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Refund, decide::Price, table};
use crate::{
    account,
    app::{App, Written},
    caller::{Role, User},
    clock::now_ms,
    consult,
    http::{
        answer::{Answer, Envelope},
        docs::DemandedKey,
        error::{Error, ErrorCode},
        input::{PathId, Text, Within, Write},
    },
    operator::audit,
    team,
};

/// A refund to make.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"amount_fen": 1000, "reason": "服务未完成，协商退一半"}))]
pub(crate) struct MakeRefund {
    /// By default all that was not refunded before.
    #[schema(required = false)]
    amount_fen: Option<Within<1, 1_000_000_000>>,
    /// The patient sees it.
    reason: Text<4, 500>,
}

/// The price that is to be refunded.
#[derive(Clone, Copy)]
enum Of {
    Consult(i64),
    Vas(i64),
}

/// Refunds the price of a consult, whole or in part
///
/// By the team's owner or an operator, once the consult is finished; all refunds together are at most the price. The amount
/// goes to the patient's wallet, from the team's income and, by its part, from the platform's commission. The conversation
/// says so, although it has ended.
#[utoipa::path(
    operation_id = "refundConsult",
    post, path = "/consult/{id}/refund", tag = "consult", request_body = MakeRefund,
    params(("id" = i64, Path, minimum = 1), DemandedKey),
    responses(
        (status = 200, body = Envelope<Refund>),
        (status = 403, description = "`refund.forbidden`"),
        (status = 404, description = "`consult.not_found`"),
        (status = 409, description = "`refund.not_charged`, `refund.too_much`, `income.insufficient`, `account.closed`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn of_consult(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    write: Write<MakeRefund>,
) -> Result<Answer, Error> {
    refund(&app, user, Of::Consult(id.get()), write).await
}

/// Refunds the price of a value-added service, whole or in part
///
/// By the team's owner or an operator, once it is confirmed; otherwise as a refund of a consult.
#[utoipa::path(
    operation_id = "refundVas",
    post, path = "/vas/{id}/refund", tag = "vas", request_body = MakeRefund,
    params(("id" = i64, Path, minimum = 1), DemandedKey),
    responses(
        (status = 200, body = Envelope<Refund>),
        (status = 403, description = "`refund.forbidden`"),
        (status = 404, description = "`vas.not_found`"),
        (status = 409, description = "`refund.not_charged`, `refund.too_much`, `income.insufficient`, `account.closed`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn of_vas(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    write: Write<MakeRefund>,
) -> Result<Answer, Error> {
    refund(&app, user, Of::Vas(id.get()), write).await
}

async fn refund(app: &App, user: User, of: Of, write: Write<MakeRefund>) -> Result<Answer, Error> {
    let Write { body, once } = write;
    once.demand_key()?;
    let refund = app.database.allocate_id(table::SEQUENCE).await?;
    let transfer = app.database.allocate_id(ledger::SEQUENCE).await?;
    let journal = app.journal.clone();
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            let price = of.lock(tx, &user).await?;
            check(tx, &user, of, &price).await?;
            let asked = body.amount_fen.and_then(|amount| Fen::new(amount.get()));
            let allowed = price.refund(asked)?;
            account::lock_unclosed(tx, price.member).await?;
            let refund = Refund {
                refund_id: refund,
                consultation_id: price.consult,
                vas_id: price.vas,
                team_id: price.team,
                member_id: price.member.get(),
                amount_fen: allowed.amount.get(),
                reason: body.reason.into_string(),
                by_id: user.id.get(),
                created_ms: now_ms,
            };
            table::new_refund(tx, &refund, allowed.commission).await?;
            let transfer = Transfer {
                id: transfer,
                movement: Movement::refund(
                    refund.refund_id,
                    price.team,
                    price.member,
                    allowed.amount,
                    allowed.commission,
                    allowed.earned_in,
                ),
                by: Some(user.id),
                now_ms,
            };
            let conversation = ConversationId::from_database(price.consult);
            journal.prefetch(tx, conversation, now_ms);
            ledger::post(tx, transfer).await?;
            let event = Event::Refunded(RefundEvent {
                refund_id: refund.refund_id,
                vas_id: price.vas.unwrap_or_default(),
                amount_fen: refund.amount_fen,
            });
            let unpublished = journal.record(tx, conversation, user.id, event, now_ms).await?;
            consult::bring_back(tx, price.consult).await?;
            if user.role == Role::Operator {
                let row = audit::Row::by(user.id, audit::Act::PriceRefunded);
                let row = row
                    .account(refund.member_id)
                    .consult(price.consult)
                    .about(format!("refund:{}", refund.refund_id));
                audit::write(tx, row.because(refund.reason.clone()), now_ms).await?;
            }
            Ok(Written::new(Answer::one(&refund)?).publishing(unpublished))
        })
    })
    .await
}

impl Of {
    const fn missing(self) -> ErrorCode {
        match self {
            Self::Consult(_) => ErrorCode::ConsultNotFound,
            Self::Vas(_) => ErrorCode::VasNotFound,
        }
    }

    async fn read(self, tx: &mut Transaction<'_>) -> Result<Price, Error> {
        let price = match self {
            Self::Consult(consult) => table::price_of_consult(tx, consult).await?,
            Self::Vas(vas) => table::price_of_vas(tx, vas).await?,
        };
        price.ok_or_else(|| self.missing().into())
    }

    /// Locks the consult: refunds of one price come one after the other. Before it the team, whose handover ends the rights of
    /// its owner, and the patient's account, as a further question does. A consult's team and patient never change.
    async fn lock(self, tx: &mut Transaction<'_>, user: &User) -> Result<Price, Error> {
        let Price { team, member, .. } = self.read(tx).await?;
        if user.role != Role::Operator {
            team::lock_row(tx, team).await?;
        }
        account::lock(tx, member).await?;
        match self {
            Self::Consult(consult) => consult::lock_row(tx, consult).await?,
            Self::Vas(vas) => consult::lock_row_of_vas(tx, vas).await?,
        }
        self.read(tx).await
    }
}

/// Refuses others than the owner of the team, which is locked, and operators; users outside the consult as if there were none.
async fn check(tx: &mut Transaction<'_>, user: &User, of: Of, price: &Price) -> Result<(), Error> {
    if user.role == Role::Operator || user.id == price.owner {
        return Ok(());
    }
    match consult::check_seated_in(tx, price.consult, user.id).await {
        Ok(()) => Err(ErrorCode::RefundForbidden.into()),
        Err(error) if error.code() == ErrorCode::ConsultNotFound => Err(of.missing().into()),
        Err(error) => Err(error),
    }
}
