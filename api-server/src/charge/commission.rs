//! The share of the platform, from a time on.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::table;
use crate::{
    app::{App, Written},
    caller::Operator,
    clock::now_ms,
    http::{
        answer::{Answer, Envelope, ListEnvelope},
        docs::{IdempotencyKey, PageParams},
        error::{Error, ErrorCode},
        input::{Id, PageQuery, Within, Write},
    },
    operator::audit,
};

/// A share to come.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"per_mille": 100, "from_ms": 1_893_427_200_000_i64}))]
pub(crate) struct SetCommission {
    /// Of each price, in thousandths; rounded half up on the platform's side.
    per_mille: Within<0, 1000>,
    /// When it begins, epoch milliseconds; in the future.
    from_ms: Id,
}

/// The share of the platform (佣金) from a time on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Commission)]
pub(crate) struct Share {
    pub(super) from_ms: i64,
    pub(super) per_mille: i64,
    /// The operator who set it.
    pub(super) by_id: i64,
    pub(super) created_ms: i64,
}

/// Sets the commission from a time on
///
/// Of consults that begin and services that are proposed from then on; what is under way keeps its own. One that has not
/// begun is replaced by another with the same time.
#[utoipa::path(
    operation_id = "setCommission",
    post, path = "/operator/commission", tag = "operator", request_body = SetCommission, params(IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Share>),
        (status = 403, description = "`operator.only`"),
        (status = 409, description = "`commission.past`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn set(
    State(app): State<App>,
    operator: Operator,
    Write { body, once }: Write<SetCommission>,
) -> Result<Answer, Error> {
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            let share = Share {
                from_ms: body.from_ms.get(),
                per_mille: body.per_mille.get(),
                by_id: operator.id.get(),
                created_ms: now_ms,
            };
            if share.from_ms <= now_ms {
                return Err(Error::new(ErrorCode::CommissionPast).field("from_ms"));
            }
            let before = table::share(tx, share.from_ms).await?;
            if let Some(same) = before.filter(|before| before.per_mille == share.per_mille) {
                return Ok(Written::new(Answer::one(&same)?));
            }
            table::put_share(tx, &share).await?;
            let row = audit::Row::by(operator.id, audit::Act::CommissionSet);
            let row = row
                .about(format!("commission:{}", share.from_ms))
                .because(format!("{} ‰", share.per_mille));
            audit::write(tx, row, now_ms).await?;
            Ok(Written::new(Answer::one(&share)?))
        })
    })
    .await
}

/// The commission of each time, the latest first
///
/// The first one that has begun is in force; before the first one it is 0.
#[utoipa::path(
    operation_id = "listCommissions",
    get, path = "/operator/commission_list", tag = "operator", params(PageParams),
    responses((status = 200, body = ListEnvelope<Share>), (status = 403, description = "`operator.only`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(State(app): State<App>, _: Operator, page: PageQuery) -> Result<Answer, Error> {
    Answer::page(table::shares().page(&app.database, &page).await?)
}
