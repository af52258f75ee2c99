//! Fees of memberships: the row knows how often a member joined, the transfers know the amounts.

use database::{Snapshot, params};

use super::super::transfer::Posted;
use crate::{Account, Error, Fen, Kind, Movement};

pub(super) const TIMES: &str = "SELECT times FROM membership WHERE team_id = $1 AND member_id = $2";

/// The rule that a fee breaks which a member paid or got back.
pub(super) async fn fault(
    snapshot: &Snapshot,
    kind: Kind,
    transfer: &Posted,
) -> Result<Option<&'static str>, Error> {
    let fee = transfer.legs.iter().find_map(|leg| match leg.account {
        Account::Fee { team, member } => Some((team, member, leg.amount_fen)),
        _ => None,
    });
    let times = transfer
        .cause
        .rsplit(':')
        .next()
        .and_then(|times| times.parse().ok());
    let Some(((team, member, amount_fen), times)) = fee.zip(times) else {
        return Ok(Some("it has no cause"));
    };
    let signed = if kind == Kind::Join {
        amount_fen
    } else {
        -amount_fen
    };
    let Some(amount) = Fen::new(signed) else {
        return Ok(Some("its postings are not those of its cause"));
    };
    let movement = match kind {
        Kind::Join => Movement::join(team, member, times, amount),
        _ => Movement::leave(team, member, times, amount),
    };
    if movement.cause != transfer.cause {
        return Ok(Some("it has no cause"));
    }
    let rows = snapshot.query(TIMES, params![team, member.get()]).await?;
    let joined: i64 = rows.first().map_or(Ok(0), |row| row.get(0))?;
    if !(1..=joined).contains(&times) {
        return Ok(Some("it has no cause"));
    }
    Ok(super::disagrees(&movement, transfer))
}
