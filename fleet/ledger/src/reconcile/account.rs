//! The walk over guarded accounts, and the chains of their postings.

use std::collections::HashMap;

use database::{Row, params};

use super::{
    Proof, consumption,
    page::{ROWS, is_full},
};
use crate::{Account, Error};

const ACCOUNTS: &str =
    "SELECT account, kind, owner_id, part_id, balance_fen, postings, consumed_fen FROM ledger_account
     WHERE account > $1 ORDER BY account LIMIT $2";

/// In the order of the engine, which need not be that of bytes: nothing here compares two accounts.
const CHAIN: &str = "SELECT account, place, amount_fen, balance_after_fen FROM posting
     WHERE (account, place) > ($1, $2) AND account <= $3 AND place IS NOT NULL ORDER BY account, place LIMIT $4";

/// Behind the last account.
const REST: &str = "SELECT account, place, amount_fen, balance_after_fen FROM posting
     WHERE (account, place) > ($1, $2) AND place IS NOT NULL ORDER BY account, place LIMIT $3";

pub(super) fn statements() -> Vec<String> {
    [ACCOUNTS, CHAIN, REST].map(str::to_owned).into()
}

/// An account, and how far its postings lead.
struct Chain {
    account: String,
    balance_fen: i64,
    postings: i64,
    consumed_fen: i64,
    reached: i64,
    place: i64,
    fault: Option<&'static str>,
}

impl Chain {
    fn read(row: &Row) -> Result<Self, Error> {
        let account: String = row.get(0)?;
        let (kind, owner, part): (String, i64, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
        let is_itself = account
            .parse::<Account>()
            .is_ok_and(|of| of.is_guarded() && of.kind() == kind && of.parts() == (owner, part));
        Ok(Self {
            account,
            balance_fen: row.get(4)?,
            postings: row.get(5)?,
            consumed_fen: row.get(6)?,
            reached: 0,
            place: 0,
            fault: (!is_itself).then_some("its parts are not those of its text"),
        })
    }

    fn add(&mut self, row: &Row) -> Result<(), Error> {
        let (place, amount): (i64, i64) = (row.get(1)?, row.get(2)?);
        let after: Option<i64> = row.get(3)?;
        let expected = self.reached.checked_add(amount);
        let fault = if place != self.place + 1 {
            Some("its postings have a gap")
        } else if after.is_none() || after != expected {
            Some("a balance is not the one before and its amount")
        } else if after.is_some_and(|after| after < 0) {
            Some("it was below zero")
        } else {
            None
        };
        self.fault = self.fault.or(fault);
        self.place = place;
        self.reached = after.unwrap_or_default();
        Ok(())
    }

    fn fault(&self) -> Option<&'static str> {
        if self.fault.is_some() {
            self.fault
        } else if self.place != self.postings {
            Some("it has more or fewer postings than it counts")
        } else if self.reached != self.balance_fen {
            Some("its balance is not the sum of its postings")
        } else {
            None
        }
    }
}

pub(super) async fn prove(proof: &mut Proof<'_>) -> Result<(), Error> {
    let (mut last, mut sum, mut done) = (String::new(), 0_i128, 0);
    loop {
        let rows = proof
            .snapshot
            .query(ACCOUNTS, params![last.as_str(), ROWS])
            .await?;
        let mut page = rows.iter().map(Chain::read).collect::<Result<Vec<_>, _>>()?;
        let before = last.clone();
        if let Some(chain) = page.last() {
            last.clone_from(&chain.account);
        }
        let is_last = !is_full(&rows);
        walk(proof, &mut page, before, (!is_last).then_some(&last), &mut done).await?;
        for chain in &page {
            sum += i128::from(chain.balance_fen);
            proof.prints.consumed -= proof.prints.of(&chain.account, chain.consumed_fen);
            if let Some(why) = chain.fault() {
                proof.report.fault(chain.account.as_str(), why);
            }
        }
        proof.report.counts.accounts += page.len() as u64;
        if is_last {
            break;
        }
    }
    if sum != proof.report.sums.guarded_fen {
        proof
            .report
            .fault("ledger", "balances do not sum to the postings");
    }
    if !proof.prints.consumed.is_even() {
        consumption::prove(proof).await?;
    }
    Ok(())
}

/// Walks the postings of the accounts of a page: those behind `before`, up to `last`.
async fn walk(
    proof: &mut Proof<'_>,
    page: &mut [Chain],
    before: String,
    last: Option<&String>,
    done: &mut u64,
) -> Result<(), Error> {
    let at: HashMap<String, usize> = page
        .iter()
        .enumerate()
        .map(|(at, chain)| (chain.account.clone(), at))
        .collect();
    let mut key = (before, i64::MAX);
    loop {
        let (account, place) = (key.0.as_str(), key.1);
        let asked = match last {
            Some(last) => proof.snapshot.query(CHAIN, params![account, place, last, ROWS]),
            None => proof.snapshot.query(REST, params![account, place, ROWS]),
        };
        let rows = asked.await?;
        for row in &rows {
            key = (row.get(0)?, row.get(1)?);
            match at.get(&key.0) {
                Some(at) => page[*at].add(row)?,
                None => proof
                    .report
                    .fault(key.0.as_str(), "it has postings and no balance"),
            }
        }
        *done += rows.len() as u64;
        let total = proof.report.counts.postings;
        proof.progress("accounts", *done, total);
        if !is_full(&rows) {
            return Ok(());
        }
    }
}
