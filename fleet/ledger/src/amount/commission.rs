//! The platform's share of an income.

use database::{Transaction, params};

use crate::{Error, Fen};

/// The share in force.
pub(crate) const FORCE: &str =
    "SELECT per_mille FROM commission WHERE from_ms <= $1 ORDER BY from_ms DESC LIMIT 1";

/// A share, per mille.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commission(i64);

impl Commission {
    /// None.
    pub const NONE: Self = Self(0);

    /// The share; `None` below 0 and above 1000.
    pub const fn new(per_mille: i64) -> Option<Self> {
        if per_mille >= 0 && per_mille <= 1000 {
            Some(Self(per_mille))
        } else {
            None
        }
    }

    /// Per mille.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The platform's part of an amount, rounded half up. The rest is the team's, so that the parts sum exactly.
    pub const fn of(self, amount: Fen) -> Fen {
        let part = (amount.get() * self.0 + 500) / 1000;
        match Fen::new(part) {
            Some(part) => part,
            None => Fen::ZERO,
        }
    }

    /// The platform's part of a refund of `amount`, of a price of which `before` was refunded already. The parts of all
    /// refunds of a whole price sum to `commission` exactly.
    pub const fn refunded(commission: Fen, price: Fen, before: Fen, amount: Fen) -> Fen {
        if price.is_zero() {
            return Fen::ZERO;
        }
        let (commission, price) = (commission.get() as i128, price.get() as i128);
        let then = commission * (before.get() as i128 + amount.get() as i128) / price;
        let now = commission * before.get() as i128 / price;
        match Fen::new((then - now) as i64) {
            Some(part) => part,
            None => Fen::ZERO,
        }
    }

    /// The share in force at a time, epoch milliseconds.
    ///
    /// # Errors
    /// The database's.
    pub async fn at(tx: &mut Transaction<'_>, now_ms: i64) -> Result<Self, Error> {
        let row = tx.query_first(FORCE, params![now_ms]).await?;
        let per_mille = row.map_or(Ok(0), |row| row.get(0))?;
        Self::new(per_mille).ok_or(Error::Invalid("commission.per_mille is outside 0 to 1000"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fen(fen: i64) -> Fen {
        Fen::new(fen).unwrap()
    }

    #[test]
    fn a_half_is_rounded_up_on_the_platforms_side() {
        for (per_mille, amount, part) in [
            (100, 5, 1),
            (100, 4, 0),
            (1000, 7, 7),
            (0, 7, 0),
            (1, 499, 0),
            (1, 500, 1),
        ] {
            assert_eq!(Commission::new(per_mille).unwrap().of(fen(amount)), fen(part));
        }
        assert_eq!(Commission::new(-1), None);
        assert_eq!(Commission::new(1001), None);
        let whole = Commission::new(1000).unwrap();
        assert_eq!(whole.of(Fen::MAX), Fen::MAX);
    }

    proptest! {
        #[test]
        fn refunds_of_a_whole_price_give_the_whole_commission_back(
            per_mille in 0_i64..=1000, parts in prop::collection::vec(0_i64..=1_000_000_000, 1..20)
        ) {
            let price = fen(parts.iter().sum());
            let commission = Commission::new(per_mille).unwrap().of(price);
            let (mut before, mut back) = (Fen::ZERO, 0);
            for part in parts.into_iter().map(fen) {
                let refunded = Commission::refunded(commission, price, before, part);
                prop_assert!(refunded <= part);
                back += refunded.get();
                before = before.checked_add(part).unwrap();
            }
            prop_assert_eq!(back, commission.get());
        }
    }
}
