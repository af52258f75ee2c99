//! Reversals: each takes one transfer back, whole.

use database::{Row, Snapshot, params};

use super::super::transfer::Posted;
use crate::{Account, Error, Kind, Leg, Month, Movement};

const REVERSED: &str = "SELECT kind, earned_month FROM transfer WHERE id = $1";

const LEGS: &str = "SELECT account, amount_fen FROM posting WHERE transfer_id = $1 ORDER BY line LIMIT 9";

pub(super) const STATEMENTS: [&str; 2] = [REVERSED, LEGS];

/// The kind of the transfer that a reversal takes back.
pub(in super::super) async fn reversed_kind(
    snapshot: &Snapshot,
    transfer: &Posted,
) -> Result<Option<Kind>, Error> {
    let rows = snapshot.query(REVERSED, params![transfer.reverses]).await?;
    let kind = rows.first().map(|row| row.get::<String>(0)).transpose()?;
    Ok(kind.and_then(|kind| Kind::from_word(&kind)))
}

/// The rule that a reversal breaks.
pub(super) async fn fault(snapshot: &Snapshot, transfer: &Posted) -> Result<Option<&'static str>, Error> {
    let Some(of) = transfer.reverses else {
        return Ok(Some("it has no cause"));
    };
    let rows = snapshot.query(REVERSED, params![of]).await?;
    let Some(row) = rows.first() else {
        return Ok(Some("it has no cause"));
    };
    let earned: Option<i64> = row.get(1)?;
    let Some(kind) = Kind::from_word(&row.get::<String>(0)?).filter(|kind| *kind != Kind::Reversal) else {
        return Ok(Some("it reverses a transfer of no event"));
    };
    let rows = snapshot.query(LEGS, params![of]).await?;
    let legs: Vec<Leg> = rows
        .iter()
        .map(leg)
        .collect::<Result<Vec<_>, Error>>()?
        .into_iter()
        .flatten()
        .collect();
    let movement = Movement::reversing(of, kind, legs, earned.and_then(Month::new));
    if movement.cause != transfer.cause {
        return Ok(Some("it has no cause"));
    }
    Ok(super::disagrees(&movement, transfer))
}

/// `None`: its account is unknown, which the walk over its transfer reports.
fn leg(row: &Row) -> Result<Option<Leg>, Error> {
    let (account, amount_fen): (String, i64) = (row.get(0)?, row.get(1)?);
    Ok(account
        .parse::<Account>()
        .ok()
        .map(|account| Leg { account, amount_fen }))
}
