//! The decision about a refund, without a database.

use ledger::{Commission, Fen, Month};
use proto::UserId;

use crate::http::error::ErrorCode;

/// A price that may be refunded, of a consult or a value-added service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Price {
    pub(super) consult: i64,
    pub(super) vas: Option<i64>,
    pub(super) team: i64,
    pub(super) owner: UserId,
    pub(super) member: UserId,
    /// None before it is the team's income.
    pub(super) earned_in: Option<Month>,
    pub(super) amount: Fen,
    /// The platform's part of it.
    pub(super) commission: Fen,
    pub(super) refunded: Fen,
}

/// A refund that is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowed {
    pub(super) amount: Fen,
    /// The platform's part of the amount.
    pub(super) commission: Fen,
    pub(super) earned_in: Month,
}

impl Price {
    /// Decides about a refund of an amount; of the whole rest by default.
    pub(super) fn refund(&self, amount: Option<Fen>) -> Result<Allowed, ErrorCode> {
        let earned_in = self.earned_in.ok_or(ErrorCode::RefundNotCharged)?;
        let rest = self.amount.saturating_sub(self.refunded);
        let amount = amount.unwrap_or(rest);
        if amount.is_zero() || amount > rest {
            return Err(ErrorCode::RefundTooMuch);
        }
        let commission = Commission::refunded(self.commission, self.amount, self.refunded, amount);
        Ok(Allowed {
            amount,
            commission,
            earned_in,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fen(fen: i64) -> Fen {
        Fen::new(fen).unwrap()
    }

    fn price(refunded: i64) -> Price {
        let user = UserId::from_database(1);
        Price {
            consult: 1,
            vas: None,
            team: 1,
            owner: user,
            member: user,
            earned_in: Month::new(202_612),
            amount: fen(100),
            commission: fen(15),
            refunded: fen(refunded),
        }
    }

    /// Refunded before, the amount that is asked for, then the refund and its part of the commission.
    #[test]
    fn refunds_stay_within_the_price() {
        let too_much = Err(ErrorCode::RefundTooMuch);
        for (before, asked, outcome) in [
            (0, None, Ok((100, 15))),
            (0, Some(100), Ok((100, 15))),
            (0, Some(1), Ok((1, 0))),
            (99, None, Ok((1, 1))),
            (40, Some(60), Ok((60, 9))),
            (40, Some(61), too_much),
            (0, Some(101), too_much),
            (0, Some(0), too_much),
            (100, None, too_much),
            (100, Some(1), too_much),
        ] {
            let allowed = price(before).refund(asked.map(fen));
            let found = allowed.map(|allowed| (allowed.amount.get(), allowed.commission.get()));
            assert_eq!(found, outcome, "{asked:?} after {before}");
        }
        let held = Price {
            earned_in: None,
            ..price(0)
        };
        assert_eq!(held.refund(None), Err(ErrorCode::RefundNotCharged));
    }
}
