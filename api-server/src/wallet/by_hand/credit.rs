//! Credits by hand: asking for one, approving or refusing it, and the list of them.

use axum::extract::State;
use database::Transaction;
use ledger::{Fen, Movement};
use proto::UserId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::decide::{Asked, Decided};
use crate::{
    account,
    app::{App, Written},
    caller::{Operator, Role},
    clock::now_ms,
    http::{
        answer::{Answer, Envelope, ListEnvelope},
        docs::{DemandedKey, IdempotencyKey, PageParams},
        error::{Error, ErrorCode},
        input::{Id, PageQuery, Text, Within, Write},
    },
    operator::{
        account::unknown,
        audit::{self, Act, Row},
    },
    wallet::table::by_hand::{
        self,
        credit::{self, Credit, NewCredit},
    },
};

/// A credit by hand.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewCredit, example = json!({"user_id": 17, "amount_fen": 5000, "reason": "重复扣款补偿，工单 2026-118"}))]
pub(crate) struct AskedCredit {
    /// A member.
    user_id: Id,
    /// At most ten million yuan.
    amount_fen: Within<1, 1_000_000_000>,
    /// The audit log keeps it, and the member reads it in their record.
    reason: Text<4, 500>,
}

/// Asks for a credit by hand
///
/// Nothing moves until another operator approves it.
#[utoipa::path(
    operation_id = "askForCredit",
    post, path = "/operator/credit", tag = "operator", request_body = AskedCredit, params(DemandedKey),
    responses(
        (status = 200, body = Envelope<Credit>),
        (status = 403, description = "`operator.only`"),
        (status = 404, description = "`operator.person_not_found`"),
        (status = 409, description = "`account.closed`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn ask(
    State(app): State<App>,
    operator: Operator,
    Write { body, once }: Write<AskedCredit>,
) -> Result<Answer, Error> {
    once.demand_key()?;
    let id = app.database.allocate_id(credit::SEQUENCE).await?;
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            let user = body.user_id.get();
            let identity = account::identity(tx, UserId::from_database(user)).await?;
            if identity.is_none_or(|identity| identity.role != Role::Member) {
                return Err(unknown().field("user_id"));
            }
            account::lock_unclosed(tx, UserId::from_database(user)).await?;
            let reason = body.reason.into_string();
            let new = NewCredit {
                id,
                user,
                amount_fen: body.amount_fen.get(),
                reason: reason.clone(),
                by: operator.id,
            };
            let credit = credit::insert(tx, new, now_ms).await?;
            let row = Row::by(operator.id, Act::CreditAsked).account(user);
            audit::write(tx, row.about(format!("credit:{id}")).because(reason), now_ms).await?;
            Ok(Written::new(Answer::one(&credit)?))
        })
    })
    .await
}

impl Decided for Credit {
    const MISSING: ErrorCode = ErrorCode::CreditNotFound;
    const ENDED: ErrorCode = ErrorCode::CreditEnded;
    const APPROVED: Act = Act::CreditApproved;
    const REFUSED: Act = Act::CreditRefused;

    fn member(&self) -> i64 {
        self.user_id
    }

    async fn movement(&self, _: &mut Transaction<'_>) -> Result<Movement, Error> {
        let amount = Fen::new(self.amount_fen).ok_or_else(|| Error::internal("credit.amount_fen"))?;
        let member = UserId::from_database(self.user_id);
        Ok(Movement::credit(self.credit_id, member, amount))
    }
}

/// Approves a credit by hand
///
/// By another operator than the one who asked: the amount is in the member's wallet. A repeated request gets the same answer.
#[utoipa::path(
    operation_id = "approveCredit",
    post, path = "/operator/credit/{id}/approve", tag = "operator",
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Credit>),
        (status = 403, description = "`operator.only`, `operator.own_approval`"),
        (status = 404, description = "`credit.not_found`"),
        (status = 409, description = "`credit.ended`, `account.closed`, `wallet.limit_reached`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn approve_credit(app: State<App>, by: Operator, asked: Asked) -> Result<Answer, Error> {
    asked.approve::<Credit>(app, by).await
}

/// Refuses a credit by hand
///
/// By another operator than the one who asked: nothing moves. A repeated request gets the same answer.
#[utoipa::path(
    operation_id = "refuseCredit",
    post, path = "/operator/credit/{id}/refuse", tag = "operator",
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Credit>),
        (status = 403, description = "`operator.only`, `operator.own_approval`"),
        (status = 404, description = "`credit.not_found`"),
        (status = 409, description = "`credit.ended`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn refuse_credit(app: State<App>, by: Operator, asked: Asked) -> Result<Answer, Error> {
    asked.refuse::<Credit>(app, by).await
}

/// Credits by hand
///
/// All of them, whatever came of them.
#[utoipa::path(
    operation_id = "listCredits",
    get, path = "/operator/credit_list", tag = "operator", params(PageParams),
    responses((status = 200, body = ListEnvelope<Credit>), (status = 403, description = "`operator.only`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(State(app): State<App>, _: Operator, page: PageQuery) -> Result<Answer, Error> {
    Answer::page(by_hand::list::<Credit>().page(&app.database, &page).await?)
}
