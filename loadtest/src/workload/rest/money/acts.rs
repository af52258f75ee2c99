//! The acts of a visit, and the amounts that they move.

use anyhow::Result;
use serde_json::json;

use super::call::Caller;
use crate::world::Practice;
use crate::world::rest::{PASSWORD, Prices, Rest};

/// The prices of each team: one consult is paid by the fee, a second one by the rest of the fee and the wallet.
pub(super) const PRICES: Prices = Prices {
    membership_fee_fen: 5000,
    consult_price_fen: 3000,
};
/// A top-up: more than a visit takes.
pub(super) const TOP_UP_FEN: i64 = 9000;
/// The price of a service.
pub(super) const SERVICE_FEN: i64 = 1000;
/// Each refund of a service.
pub(super) const SERVICE_REFUND_FEN: i64 = 300;
/// The refund of a consult.
pub(super) const CONSULT_REFUND_FEN: i64 = 500;
/// A withdrawal of a team.
pub(super) const WITHDRAWAL_FEN: i64 = 1;
/// Balance that goes back to where it came from.
pub(super) const PAY_BACK_FEN: i64 = 100;

/// One act of a member, their doctor or the team.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    TopUp,
    Pay,
    Join,
    Begin,
    BeginOther,
    CancelOther,
    BringIn,
    Propose,
    Confirm,
    RefundService,
    Finish,
    RefundConsult,
    Withdraw,
    Leave,
    PayBack,
}

/// A visit; then comes the next one.
pub(super) const VISIT: [Act; 20] = [
    Act::TopUp,
    Act::Pay,
    Act::Join,
    Act::Begin,
    Act::BeginOther,
    Act::CancelOther,
    Act::BringIn,
    Act::Propose,
    Act::Confirm,
    Act::Propose,
    Act::Confirm,
    Act::Propose,
    Act::Confirm,
    Act::RefundService,
    Act::RefundService,
    Act::Finish,
    Act::RefundConsult,
    Act::Withdraw,
    Act::Leave,
    Act::PayBack,
];

impl Act {
    /// The name in reports.
    pub(super) const fn endpoint(self) -> &'static str {
        match self {
            Self::TopUp => "POST /wallet/top_up",
            Self::Pay => "POST /mockpay/{order}/pay",
            Self::Join => "POST /team/join",
            Self::Begin | Self::BeginOther => "POST /consult",
            Self::CancelOther => "POST /consult/{id}/cancel",
            Self::BringIn => "POST /consult/{id}/doctor",
            Self::Propose => "POST /consult/{id}/vas",
            Self::Confirm => "POST /vas/{id}/confirm",
            Self::RefundService => "POST /vas/{id}/refund",
            Self::Finish => "POST /consult/{id}/finish",
            Self::RefundConsult => "POST /consult/{id}/refund",
            Self::Withdraw => "POST /team/{id}/withdrawal",
            Self::Leave => "POST /team/{id}/leave",
            Self::PayBack => "POST /wallet/refund",
        }
    }

    /// By how much it changes the wallet, and what counts as consumed.
    pub(super) const fn effect(self) -> (i64, i64) {
        let price = PRICES.consult_price_fen;
        let by_wallet = 2 * price - PRICES.membership_fee_fen;
        match self {
            Self::TopUp | Self::BringIn | Self::Propose | Self::Finish | Self::Withdraw => (0, 0),
            Self::Pay => (TOP_UP_FEN, 0),
            Self::Join => (-PRICES.membership_fee_fen, 0),
            Self::Begin => (0, price),
            Self::BeginOther => (-by_wallet, price),
            Self::CancelOther => (by_wallet, -price),
            Self::Confirm => (-SERVICE_FEN, SERVICE_FEN),
            Self::RefundService => (SERVICE_REFUND_FEN, -SERVICE_REFUND_FEN),
            Self::RefundConsult => (CONSULT_REFUND_FEN, -CONSULT_REFUND_FEN),
            Self::Leave => (PRICES.membership_fee_fen - price, 0),
            Self::PayBack => (-PAY_BACK_FEN, 0),
        }
    }
}

/// Sets where a team's income is paid to.
pub(super) async fn set_payee(rest: &Rest, practice: &Practice) -> Result<()> {
    let path = format!("/team/{}/payee", practice.team);
    let body = json!({
        "kind": "bank", "holder": "Load test", "bank": "Load test", "account_number": "6222020000000000000",
        "password": PASSWORD,
    });
    let mut caller = Caller::new(rest.clone(), u64::try_from(practice.team)?);
    caller.put(&path, &practice.doctor.access_token, body).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_wallet_runs_empty_in_a_visit() {
        let mut wallet = 0;
        for act in VISIT {
            wallet += act.effect().0;
            assert!(wallet >= 0, "{act:?}");
        }
    }

    #[test]
    fn three_of_four_calls_move_money() {
        let still = [Act::TopUp, Act::BringIn, Act::Propose];
        let moving = VISIT.iter().filter(|act| !still.contains(act)).count();
        assert_eq!((moving, VISIT.len()), (15, 20));
    }
}
