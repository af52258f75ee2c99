//! A team's income (团队收入): its sums, withdrawals and payouts, statements.
//!
//! The ledger has the money and the window ([`ledger::Window`]); this domain has withdrawals and where they are paid to. The
//! owner and the assistant read; the owner alone asks for money and names the payee.

pub(crate) mod fee;
mod figures;
pub(crate) mod overview;
pub(crate) mod payee;
pub(crate) mod payout;
pub(crate) mod statement;
mod table;
pub(crate) mod withdrawable;
pub(crate) mod withdrawal;
