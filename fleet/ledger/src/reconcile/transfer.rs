//! The walk over transfers, with their postings and their causes.

use std::collections::HashMap;

use database::{Row, params};

use super::{
    Proof, cause,
    page::{ROWS, is_full, last_id},
};
use crate::{Account, Error, Fen, Kind, Leg, Month};

const LAST: &str = "SELECT id FROM transfer ORDER BY id DESC LIMIT 1";

const TRANSFERS: &str = "SELECT id, kind, cause, reverses, month, earned_month, created_ms FROM transfer
     WHERE id > $1 AND created_ms >= $2 ORDER BY id LIMIT $3";

const POSTINGS: &str =
    "SELECT transfer_id, line, account, amount_fen, balance_after_fen, place, month FROM posting
     WHERE (transfer_id, line) > ($1, $2) AND transfer_id <= $3 ORDER BY transfer_id, line LIMIT $4";

/// Each posting of a guarded account with the one before, whether one follows, and the account.
const NEIGHBOURS: &str =
    "SELECT p.transfer_id, p.line, p.account, p.amount_fen, p.balance_after_fen, p.place, q.balance_after_fen, n.place,
            a.balance_fen, a.postings
     FROM posting p
     LEFT JOIN posting q ON q.account = p.account AND q.place = p.place - 1
     LEFT JOIN posting n ON n.account = p.account AND n.place = p.place + 1
     LEFT JOIN ledger_account a ON a.account = p.account
     WHERE (p.transfer_id, p.line) > ($1, $2) AND p.transfer_id <= $3 ORDER BY p.transfer_id, p.line LIMIT $4";

/// Postings of one transfer that are kept: no event has as many.
const MAX_LEGS: usize = 8;

pub(super) fn statements() -> Vec<String> {
    [LAST, TRANSFERS, POSTINGS, NEIGHBOURS].map(str::to_owned).into()
}

/// A transfer as it is stored.
pub(super) struct Posted {
    pub(super) id: i64,
    /// `None`: an unknown word.
    pub(super) kind: Option<Kind>,
    pub(super) cause: String,
    pub(super) reverses: Option<i64>,
    pub(super) month: i64,
    pub(super) earned_month: Option<i64>,
    created_ms: i64,
    pub(super) legs: Vec<Leg>,
    lines: i64,
    fault: Option<&'static str>,
}

impl Posted {
    fn read(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get(0)?,
            kind: Kind::from_word(&row.get::<String>(1)?),
            cause: row.get(2)?,
            reverses: row.get(3)?,
            month: row.get(4)?,
            earned_month: row.get(5)?,
            created_ms: row.get(6)?,
            legs: Vec::new(),
            lines: 0,
            fault: None,
        })
    }

    /// Adds a posting; returns its leg, unless it has no account.
    fn add(&mut self, row: &Row) -> Result<Option<Leg>, Error> {
        let (line, account, amount_fen): (i64, String, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
        let (balance, place, month): (Option<i64>, Option<i64>, i64) =
            (row.get(4)?, row.get(5)?, row.get(6)?);
        let account = account.parse::<Account>().ok();
        // A consult that a fee pays is in the wallet's record.
        let is_nothing = amount_fen == 0 && !matches!(account, Some(Account::Wallet(_)));
        let guarded = account.is_some_and(Account::is_guarded);
        let fault = if account.is_none() {
            Some("a posting has no account")
        } else if line != self.lines {
            Some("its postings are not numbered from 0")
        } else if balance.is_some() != guarded || place.is_some() != guarded {
            Some("a posting has a balance where it must have none, or has none")
        } else if is_nothing || amount_fen.unsigned_abs() > Fen::MAX.get().unsigned_abs() {
            Some("an amount is zero or too large")
        } else if month != self.month {
            Some("a posting is of another month")
        } else {
            None
        };
        self.fault = self.fault.or(fault);
        self.lines += 1;
        let leg = account.map(|account| Leg { account, amount_fen });
        if self.legs.len() < MAX_LEGS {
            self.legs.extend(leg);
        }
        Ok(leg)
    }

    /// The fault of the transfer by itself.
    fn fault(&self) -> Option<&'static str> {
        let sum: i128 = self.legs.iter().map(|leg| i128::from(leg.amount_fen)).sum();
        if self.fault.is_some() {
            self.fault
        } else if self.lines < 2 {
            Some("it has fewer than two postings")
        } else if usize::try_from(self.lines) != Ok(self.legs.len()) {
            Some("it has too many postings")
        } else if sum != 0 {
            Some("its postings do not sum to zero")
        } else if self.month != Month::at(self.created_ms).get() {
            Some("its month is not that of its time")
        } else {
            None
        }
    }
}

pub(super) async fn prove(proof: &mut Proof<'_>) -> Result<(), Error> {
    let total = last_id(proof.snapshot, LAST).await?;
    let mut last = i64::MIN;
    loop {
        let rows = proof
            .snapshot
            .query(TRANSFERS, params![last, proof.first_ms(), ROWS])
            .await?;
        let mut page = rows.iter().map(Posted::read).collect::<Result<Vec<_>, _>>()?;
        let is_last = !is_full(&rows);
        let first = if proof.since_ms.is_some() {
            page.first().map_or(i64::MAX, |transfer| transfer.id - 1)
        } else {
            last
        };
        // Behind the last transfer, postings of none may stand.
        last = match page.last() {
            Some(transfer) if !is_last || proof.since_ms.is_some() => transfer.id,
            _ => i64::MAX,
        };
        read_postings(proof, &mut page, first, last).await?;
        if proof.since_ms.is_some() {
            prove_places(proof, &page, first, last).await?;
        }
        for transfer in &page {
            if let Some(why) = transfer.fault() {
                proof.report.fault(format!("transfer:{}", transfer.id), why);
            }
        }
        cause::prove_page(proof, &page).await?;
        if proof.since_ms.is_none() {
            count_sums(proof, &page).await?;
        }
        proof.report.counts.transfers += page.len() as u64;
        if is_last {
            break;
        }
        proof.progress("transfers", u64::try_from(last).unwrap_or(0), total);
    }
    proof.progress("transfers", total, total);
    let sums = proof.report.sums;
    if sums.total() != 0 {
        proof.report.fault("ledger", "its accounts do not sum to zero");
    }
    Ok(())
}

/// Counts what a page says about the sums that are kept beside the postings.
async fn count_sums(proof: &mut Proof<'_>, page: &[Posted]) -> Result<(), Error> {
    for transfer in page {
        proof.prints.add_income(transfer);
        let kind = match transfer.kind {
            Some(Kind::Reversal) => cause::reversed_kind(proof.snapshot, transfer).await?,
            kind => kind,
        };
        let consumes = kind.is_some_and(Kind::is_consumption);
        if consumes && !proof.prints.add_consumption(transfer) {
            let row = format!("transfer:{}", transfer.id);
            proof
                .report
                .fault(row, "it is not in the record of its member's wallet");
        }
    }
    Ok(())
}

fn places(page: &[Posted]) -> HashMap<i64, usize> {
    page.iter()
        .enumerate()
        .map(|(at, transfer)| (transfer.id, at))
        .collect()
}

async fn read_postings(
    proof: &mut Proof<'_>,
    page: &mut [Posted],
    first: i64,
    last: i64,
) -> Result<(), Error> {
    let at = places(page);
    let mut key = (first, i64::MAX);
    loop {
        let rows = proof
            .snapshot
            .query(POSTINGS, params![key.0, key.1, last, ROWS])
            .await?;
        for row in &rows {
            let transfer: i64 = row.get(0)?;
            key = (transfer, row.get(1)?);
            let Some(at) = at.get(&transfer) else {
                // Of a part, those between are older ones.
                if proof.since_ms.is_none() {
                    let line = key.1;
                    let row = format!("posting:{transfer}:{line}");
                    proof.report.fault(row, "it has no transfer");
                }
                continue;
            };
            if let Some(leg) = page[*at].add(row)? {
                proof.report.sums.add(leg.account, leg.amount_fen);
            }
            proof.report.counts.postings += 1;
        }
        if !is_full(&rows) {
            return Ok(());
        }
    }
}

/// Proves the places of new postings in the chains of their accounts.
async fn prove_places(proof: &mut Proof<'_>, page: &[Posted], first: i64, last: i64) -> Result<(), Error> {
    let at = places(page);
    let mut key = (first, i64::MAX);
    loop {
        let rows = proof
            .snapshot
            .query(NEIGHBOURS, params![key.0, key.1, last, ROWS])
            .await?;
        for row in &rows {
            key = (row.get(0)?, row.get(1)?);
            let account: String = row.get(2)?;
            let place: Option<i64> = row.get(5)?;
            if let (Some(place), true) = (place, at.contains_key(&key.0))
                && let Some(why) = misplaced(row, place)?
            {
                proof.report.fault(format!("{account}:{place}"), why);
            }
        }
        if !is_full(&rows) {
            return Ok(());
        }
    }
}

fn misplaced(row: &Row, place: i64) -> Result<Option<&'static str>, Error> {
    let (amount, after): (i64, Option<i64>) = (row.get(3)?, row.get(4)?);
    let (before, next): (Option<i64>, Option<i64>) = (row.get(6)?, row.get(7)?);
    let (balance, postings): (Option<i64>, Option<i64>) = (row.get(8)?, row.get(9)?);
    let before = if place == 1 { Some(0) } else { before };
    let expected = before.and_then(|before: i64| before.checked_add(amount));
    Ok(if after.is_none() || after != expected {
        Some("its balance is not the one before and its amount")
    } else if after.is_some_and(|after| after < 0) {
        Some("its balance is below zero")
    } else if next.is_none() && (balance != after || postings != Some(place)) {
        Some("the account has another balance than its last posting")
    } else {
        None
    })
}
