//! The balance.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Caller;
use crate::{
    app::App,
    http::{
        answer::{Answer, Envelope},
        error::Error,
    },
};

/// A member's wallet.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Wallet {
    /// 余额.
    balance_fen: i64,
    /// 已消费总数: what consults and services were charged, by the wallet and by membership fees, less what went back.
    total_consumed_fen: i64,
}

/// One's wallet
///
/// By the member. A consult counts as consumed from its beginning, until it is cancelled or refunded; a membership fee when
/// consults use it.
#[utoipa::path(
    operation_id = "getWallet",
    get, path = "/wallet", tag = "wallet",
    responses((status = 200, body = Envelope<Wallet>), (status = 403, description = "`wallet.members_only`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn show(State(app): State<App>, user: Caller) -> Result<Answer, Error> {
    let wallet = ledger::Wallet::of(&app.database, user.id).await?;
    Answer::one(&Wallet {
        balance_fen: wallet.balance_fen,
        total_consumed_fen: wallet.consumed_fen,
    })
}
