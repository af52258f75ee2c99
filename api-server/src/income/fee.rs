//! The membership fees that are not used up (剩余会费).

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::table;
use crate::{
    app::App,
    caller::{Led, User},
    http::{
        answer::{Answer, ListEnvelope},
        docs::PageParams,
        error::Error,
        input::{PageQuery, PathId},
    },
    team::Team,
};

/// The rest of a member's fee.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FeeBalance {
    pub(super) member_id: i64,
    pub(super) name: String,
    /// 会费余额.
    pub(super) balance_fen: i64,
    #[serde(skip)]
    pub(super) joined_ms: i64,
}

/// A page of the rests, and their sum.
#[derive(Serialize, ToSchema)]
pub(crate) struct FeeBalances {
    #[serde(flatten)]
    list: ListEnvelope<FeeBalance>,
    /// Of all members.
    sum_fen: i64,
}

/// The rest of each member's fee
///
/// For the team's owner and its assistant. All members of the team, those who joined last first; `sum_fen` beside `result` is
/// the sum over all pages.
#[utoipa::path(
    operation_id = "listFeeBalances",
    get, path = "/team/{id}/fee_balance_list", tag = "income", params(("id" = i64, Path, minimum = 1), PageParams),
    responses(
        (status = 200, body = FeeBalances),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    page: PageQuery,
) -> Result<Answer, Error> {
    Led::<Team>::read(&app.database, id.get(), &user).await?;
    let list = table::fee_balances(id.get()).page(&app.database, &page).await?;
    Answer::whole(&FeeBalances {
        list: list.into(),
        sum_fen: table::remaining_fee(&app.database, id.get()).await?,
    })
}
