//! The walk over the incomes of teams by month. Teams are walked one by one only when the fingerprints differ.

use std::collections::BTreeMap;

use database::params;

use super::{
    Proof,
    page::{ROWS, is_full},
};
use crate::{Account, Error};

const ALL: &str = "SELECT team_id, month, posted_fen, earned_fen FROM income_month
     WHERE (team_id, month) > ($1, $2) ORDER BY team_id, month LIMIT $3";

const TEAMS: &str = "SELECT owner_id, postings FROM ledger_account
     WHERE kind = 'income' AND owner_id > $1 ORDER BY owner_id LIMIT $2";

const POSTED: &str = "SELECT p.month, t.earned_month, CAST(sum(p.amount_fen) AS BIGINT)
     FROM posting p JOIN transfer t ON t.id = p.transfer_id
     WHERE p.account = $1 AND p.place > $2 AND p.place <= $3 GROUP BY p.month, t.earned_month";

const MONTHS: &str =
    "SELECT month, posted_fen, earned_fen FROM income_month WHERE team_id = $1 ORDER BY month";

/// Months of teams without an account.
const ALONE: &str = "SELECT i.team_id, i.month,
       (SELECT a.balance_fen FROM ledger_account a WHERE a.account = 'income:' || CAST(i.team_id AS TEXT))
     FROM income_month i
     WHERE (i.team_id, i.month) > ($1, $2) ORDER BY i.team_id, i.month LIMIT $3";

/// Postings that the database sums at once: their sum stays far below the end of an i64.
const SUMMED: i64 = 10_000;

pub(super) fn statements() -> Vec<String> {
    [ALL, TEAMS, POSTED, MONTHS, ALONE].map(str::to_owned).into()
}

/// Posted and earned.
type Income = (i128, i128);

pub(super) async fn prove(proof: &mut Proof<'_>) -> Result<(), Error> {
    let mut key = (i64::MIN, i64::MIN);
    loop {
        let rows = proof.snapshot.query(ALL, params![key.0, key.1, ROWS]).await?;
        for row in &rows {
            key = (row.get(0)?, row.get(1)?);
            proof.prints.posted -= proof.prints.of(key, row.get(2)?);
            proof.prints.earned -= proof.prints.of(key, row.get(3)?);
        }
        proof.report.counts.months += rows.len() as u64;
        let done = proof.report.counts.months;
        proof.progress("months", done, done);
        if !is_full(&rows) {
            break;
        }
    }
    if !proof.prints.posted.is_even() || !proof.prints.earned.is_even() {
        let faulty = proof.report.faulty;
        prove_teams(proof).await?;
        prove_owners(proof).await?;
        if proof.report.faulty == faulty {
            proof
                .report
                .fault("ledger", "incomes of months are not the sum of their postings");
        }
    }
    Ok(())
}

async fn prove_teams(proof: &mut Proof<'_>) -> Result<(), Error> {
    let mut last = i64::MIN;
    loop {
        let rows = proof.snapshot.query(TEAMS, params![last, ROWS]).await?;
        for row in &rows {
            let (team, postings): (i64, i64) = (row.get(0)?, row.get(1)?);
            last = team;
            prove_team(proof, team, postings).await?;
        }
        if !is_full(&rows) {
            return Ok(());
        }
    }
}

async fn prove_team(proof: &mut Proof<'_>, team: i64, postings: i64) -> Result<(), Error> {
    let mut expected: BTreeMap<i64, Income> = BTreeMap::new();
    let account = Account::Income(team).to_string();
    let mut from = 0;
    while from < postings {
        let to = from + SUMMED;
        let summed = proof
            .snapshot
            .query(POSTED, params![account.as_str(), from, to])
            .await?;
        for row in &summed {
            let (month, earned): (i64, Option<i64>) = (row.get(0)?, row.get(1)?);
            let sum = i128::from(row.get::<i64>(2)?);
            expected.entry(month).or_default().0 += sum;
            if let Some(earned) = earned {
                expected.entry(earned).or_default().1 += sum;
            }
        }
        from = to;
    }
    let stored = proof.snapshot.query(MONTHS, params![team]).await?;
    for row in &stored {
        let month: i64 = row.get(0)?;
        let (posted, earned): (i64, i64) = (row.get(1)?, row.get(2)?);
        let expected = expected.remove(&month).unwrap_or_default();
        if expected != (posted.into(), earned.into()) {
            fault(proof, team, month);
        }
    }
    for (month, sums) in expected {
        if sums != (0, 0) {
            fault(proof, team, month);
        }
    }
    Ok(())
}

fn fault(proof: &mut Proof<'_>, team: i64, month: i64) {
    let row = format!("income_month:{team}:{month}");
    proof
        .report
        .fault(row, "it is not the sum of the month's postings");
}

async fn prove_owners(proof: &mut Proof<'_>) -> Result<(), Error> {
    let mut key = (i64::MIN, i64::MIN);
    loop {
        let rows = proof.snapshot.query(ALONE, params![key.0, key.1, ROWS]).await?;
        for row in &rows {
            key = (row.get(0)?, row.get(1)?);
            if row.get::<Option<i64>>(2)?.is_none() {
                fault(proof, key.0, key.1);
            }
        }
        if !is_full(&rows) {
            return Ok(());
        }
    }
}
