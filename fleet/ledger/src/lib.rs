//! The record of what was paid: double entry, append-only, in the transaction of its cause.
//!
//! An [`Account`] holds money. A [`Transfer`] moves it: its postings sum to zero. Its kind and cause are unique, so a
//! repeated or racing request posts once. Wallets, fees, held prices, incomes and payouts are guarded: never below zero.
//! Nothing is changed or deleted; a mistake is reversed by a transfer that names the first.
//!
//! [`Movement`] has a function for each event that moves money: it decides which account pays which. [`post`] writes the
//! result. [`Window`], [`Commission`] and [`Month`] decide without a database, too.

mod account;
mod amount;
mod calendar;
mod error;
mod income;
mod movement;
mod post;
pub mod reconcile;

pub use self::{
    account::{Account, Outside},
    amount::{Commission, Fen, MAX_BALANCE_FEN},
    calendar::{FIRST_DAY, LAST_DAY, Month, Window},
    error::Error,
    income::{
        Wallet, balance, balance_in, earned, earned_before, lock_balance, withdrawable, withdrawable_in,
    },
    movement::{Kind, Leg, Movement, Split},
    post::{Posted, SEQUENCE, Transfer, post},
};

/// The statements of this crate, for the tests that explain them.
#[doc(hidden)]
pub fn statements(is_file: bool) -> Vec<String> {
    let mut statements = reconcile::statements(is_file);
    statements.extend(post::STATEMENTS.map(str::to_owned));
    statements.extend(income::STATEMENTS.map(str::to_owned));
    statements.push(amount::FORCE.to_owned());
    statements
}
