//! A member's wallet: balance, record, top-ups, and the way back.
//!
//! Each change of a balance is a posting of the ledger (`fleet/ledger`) in the transaction of its cause. A provider's word
//! is compared with our own row before anything moves ([`notice`]), whether it came as a notice or was asked for.

pub(crate) mod by_hand;
pub(crate) mod consumption;
pub(crate) mod mockpay;
pub(crate) mod notice;
pub(crate) mod order;
pub(crate) mod refund;
pub(crate) mod show;
mod table;

use axum::Router;

pub(crate) use notice::{Applied, apply_paid};
pub(crate) use order::{order_of, out_refund_no, out_trade_no, refund_of};
pub(crate) use refund::{Outcome, end_refund};

use crate::{
    app::App,
    caller::{self, MembersOnly},
    http::error::ErrorCode,
};

/// Members' wallets.
pub(crate) struct Wallets;

impl MembersOnly for Wallets {
    const REFUSAL: ErrorCode = ErrorCode::WalletMembersOnly;
}

/// A member who calls.
type Caller = caller::Member<Wallets>;

/// The routes that providers call, and mockpay's page. Their answers have the providers' forms, so they are not among the
/// documented endpoints.
pub(crate) fn routes(app: &App) -> Router<App> {
    let mut router = Router::new();
    if app.charges {
        router = router.merge(notice::routes());
    }
    if mockpay::is_on(app) {
        router = router.merge(mockpay::routes());
    }
    router
}
