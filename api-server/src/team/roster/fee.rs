//! The membership fee (会费): paid in advance, spent on the price of consults, and its rest given back with the end of the
//! membership.

use database::Transaction;
use ledger::{Account, Fen, Movement, Transfer};
use proto::UserId;

use crate::{http::error::Error, team::table};

/// Moves the fee of a new member from their wallet. The team's row is locked.
pub(super) async fn join(
    tx: &mut Transaction<'_>,
    team: i64,
    member: UserId,
    fee_fen: i64,
    transfer: i64,
    now_ms: i64,
) -> Result<(), Error> {
    let fee = Fen::new(fee_fen).ok_or_else(|| Error::internal("team.membership_fee_fen is no amount"))?;
    let times = table::count_membership(tx, team, member).await?;
    let transfer = Transfer {
        id: transfer,
        movement: Movement::join(team, member, times, fee),
        by: Some(member),
        now_ms,
    };
    ledger::post(tx, transfer).await?;
    Ok(())
}

/// Gives the rest of the fee of a member who was removed back to their wallet. Also where nothing is charged any more.
pub(in crate::team) async fn leave(
    tx: &mut Transaction<'_>,
    team: i64,
    member: UserId,
    by: UserId,
    transfer: i64,
    now_ms: i64,
) -> Result<(), Error> {
    let rest = ledger::lock_balance(tx, Account::Fee { team, member }).await?;
    if rest.is_zero() {
        return Ok(());
    }
    let times = table::times_of_membership(tx, team, member).await?;
    let transfer = Transfer {
        id: transfer,
        movement: Movement::leave(team, member, times, rest),
        by: Some(by),
        now_ms,
    };
    ledger::post(tx, transfer).await?;
    Ok(())
}
