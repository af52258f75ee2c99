//! The SQL of income.

mod fee;
mod payee;
mod payout;
mod period;
mod posting;
mod withdrawal;

use database::{Database, params};
use ledger::Month;

pub(super) use fee::{fee_balances, remaining_fee};
pub(super) use payee::{NewPayee, new_payee, newest_payee, newest_payee_in};
pub(super) use payout::{
    Due, approve, enter, export, has_handled, lock_payout, mark_handled, payout_in, payouts,
};
pub(super) use period::{CONSULT, Place, VAS, Work, doctors, places};
pub(super) use posting::{Posting, month_sums, postings};
pub(super) use withdrawal::{
    NewWithdrawal, count_withdrawal_months, count_withdrawals, new_withdrawal, prefetch_count, withdrawal_in,
    withdrawal_months, withdrawals_of,
};

use super::figures::Figures;
use crate::http::error::Error;

/// Both in one statement, so that they are of one moment.
const FIGURES: &str = "SELECT 'earned', month, earned_fen FROM income_month WHERE team_id = $1
     UNION ALL
     SELECT 'withdrawn', month, CAST(sum(amount_fen) AS BIGINT) FROM withdrawal
     WHERE team_id = $1 AND state <> 'failed' GROUP BY month";

/// The sums that a team earned and withdrew, by month: some rows a year.
pub(super) async fn figures(database: &Database, team: i64) -> Result<Figures, Error> {
    let mut figures = Figures::default();
    for row in database.query(FIGURES, params![team]).await? {
        let kind: String = row.get(0)?;
        let months = if kind == "earned" {
            &mut figures.earned
        } else {
            &mut figures.withdrawn
        };
        months.push((month(row.get(1)?)?, row.get(2)?));
    }
    for months in [&mut figures.earned, &mut figures.withdrawn] {
        months.sort_unstable();
    }
    Ok(figures)
}

fn month(number: i64) -> Result<Month, Error> {
    Month::new(number).ok_or_else(|| Error::internal("a month of the database is none"))
}
