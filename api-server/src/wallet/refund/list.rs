//! One's refunds.

use axum::extract::State;

use crate::{
    app::App,
    http::{
        answer::{Answer, ListEnvelope},
        docs::PageParams,
        error::Error,
        input::PageQuery,
    },
    wallet::{
        Caller,
        table::refund::{self, Refund},
    },
};

/// One's refunds
///
/// By the member: what went back, or is on its way, to where it came from.
#[utoipa::path(
    operation_id = "listWalletRefunds",
    get, path = "/wallet/refund_list", tag = "wallet", params(PageParams),
    responses((status = 200, body = ListEnvelope<Refund>), (status = 403, description = "`wallet.members_only`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(State(app): State<App>, user: Caller, page: PageQuery) -> Result<Answer, Error> {
    Answer::page(refund::list(user.id).page(&app.database, &page).await?)
}
