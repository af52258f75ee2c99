//! Fingerprints of sums by key: two tables have the same sum for each key when the fingerprints of both are the same, and
//! neither is kept in memory. A difference stays unseen once in 2^63 proofs; keys are hashed with a secret of this proof.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    ops::{AddAssign, SubAssign},
};

use super::transfer::Posted;
use crate::Account;

/// The sum over keys of hash times amount, modulo 2^128.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Print(u128);

impl Print {
    /// Whether both sides are the same.
    pub(super) const fn is_even(self) -> bool {
        self.0 == 0
    }
}

impl AddAssign for Print {
    fn add_assign(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }
}

impl SubAssign for Print {
    fn sub_assign(&mut self, other: Self) {
        self.0 = self.0.wrapping_sub(other.0);
    }
}

/// The fingerprints of what postings say, less those of the sums that are kept beside them.
#[derive(Default)]
pub(super) struct Prints {
    secret: RandomState,
    /// By team and month.
    pub(super) posted: Print,
    /// By team and month.
    pub(super) earned: Print,
    /// By wallet.
    pub(super) consumed: Print,
}

impl Prints {
    pub(super) fn of(&self, key: impl Hash, fen: i64) -> Print {
        let hash = u128::from(self.secret.hash_one(key));
        // The sign wraps, as all of it does.
        Print((i128::from(fen) as u128).wrapping_mul(hash))
    }

    /// Adds a transfer's income.
    pub(super) fn add_income(&mut self, transfer: &Posted) {
        for leg in &transfer.legs {
            if let Account::Income(team) = leg.account {
                self.posted += self.of((team, transfer.month), leg.amount_fen);
                if let Some(month) = transfer.earned_month {
                    self.earned += self.of((team, month), leg.amount_fen);
                }
            }
        }
    }

    /// Adds what a member consumed by a transfer; false when the transfer is not in their wallet's record.
    pub(super) fn add_consumption(&mut self, transfer: &Posted) -> bool {
        let of_member = |account| matches!(account, Account::Wallet(_) | Account::Fee { .. });
        let member = transfer.legs.iter().filter(|leg| of_member(leg.account));
        let consumed_fen = -member.map(|leg| leg.amount_fen).sum::<i64>();
        let wallet = transfer.legs.iter().find_map(|leg| match leg.account {
            Account::Wallet(_) => Some(leg.account.to_string()),
            _ => None,
        });
        match wallet {
            Some(wallet) => {
                self.consumed += self.of(wallet, consumed_fen);
                true
            }
            None => consumed_fen == 0,
        }
    }
}
