//! The consumption of each member. It is walked only when the fingerprints of wallets and postings differ.

use database::params;

use super::{
    Proof,
    page::{ROWS, is_full},
};
use crate::Error;

const WALLETS: &str = "SELECT owner_id, account, postings, consumed_fen FROM ledger_account
     WHERE kind = 'wallet' AND owner_id > $1 ORDER BY owner_id LIMIT $2";

/// Each consumption is in the wallet's chain, also one that a fee paid.
const CONSUMED: &str = "SELECT CAST(coalesce(sum(q.amount_fen), 0) AS BIGINT)
     FROM posting p JOIN transfer t ON t.id = p.transfer_id LEFT JOIN transfer r ON r.id = t.reverses
     JOIN posting q ON q.transfer_id = p.transfer_id
     WHERE p.account = $1 AND p.place > $2 AND p.place <= $3
       AND coalesce(r.kind, t.kind) IN ('begin', 'cancel', 'vas', 'refund')
       AND (q.account LIKE 'wallet:%' OR q.account LIKE 'fee:%')";

/// Postings that the database sums at once.
const SUMMED: i64 = 10_000;

pub(super) fn statements() -> Vec<String> {
    [WALLETS, CONSUMED].map(str::to_owned).into()
}

pub(super) async fn prove(proof: &mut Proof<'_>) -> Result<(), Error> {
    let mut last = i64::MIN;
    let faulty = proof.report.faulty;
    loop {
        let rows = proof.snapshot.query(WALLETS, params![last, ROWS]).await?;
        for row in &rows {
            last = row.get(0)?;
            let (account, postings, stored): (String, i64, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
            let (mut sum, mut from) = (0_i128, 0);
            while from < postings {
                let to = from + SUMMED;
                let asked = proof
                    .snapshot
                    .query(CONSUMED, params![account.as_str(), from, to]);
                let summed = asked.await?;
                sum -= i128::from(summed.first().map_or(Ok(0), |row| row.get::<i64>(0))?);
                from = to;
            }
            if sum != i128::from(stored) {
                proof
                    .report
                    .fault(account, "its consumption is not the sum of its charges");
            }
        }
        if !is_full(&rows) {
            break;
        }
    }
    if proof.report.faulty == faulty {
        proof
            .report
            .fault("ledger", "what members consumed is not the sum of their charges");
    }
    Ok(())
}
