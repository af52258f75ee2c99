//! The money of a consult: its price is held when it begins, and settled with its end.

use database::Transaction;
use ledger::{Account, Commission, Fen, Movement, Split, Transfer};
use proto::UserId;

use crate::{
    consult::{
        life::ChargeState,
        table::{self, Charge, NewConsult},
    },
    http::error::Error,
    team,
};

/// Holds the price of a consult that begins: of the patient's membership fee first, the rest of their wallet.
pub(super) async fn hold(
    tx: &mut Transaction<'_>,
    new: &NewConsult,
    price: Fen,
    transfer: i64,
    now_ms: i64,
) -> Result<(), Error> {
    let (consult, team, member) = (new.id.get(), new.team_id, new.creator);
    let commission = Commission::at(tx, now_ms).await?;
    let rest = ledger::lock_balance(tx, Account::Fee { team, member }).await?;
    let split = Split::of(price, rest);
    // Its fee is locked: no other membership can begin before the end of the transaction.
    let membership = if split.fee.is_zero() {
        0
    } else {
        team::times_of_membership(tx, team, member).await?
    };
    let charge = Charge {
        consult,
        team,
        member,
        price,
        commission,
        split,
        membership,
    };
    table::hold(tx, &charge, now_ms).await?;
    let transfer = Transfer {
        id: transfer,
        movement: Movement::begin(consult, team, member, charge.split),
        by: Some(member),
        now_ms,
    };
    ledger::post(tx, transfer).await?;
    Ok(())
}

/// Settles the held price of a locked consult that ends.
pub(super) async fn settle(
    tx: &mut Transaction<'_>,
    consult: i64,
    next: ChargeState,
    transfer: i64,
    by: UserId,
    now_ms: i64,
) -> Result<(), Error> {
    let charge = table::held(tx, consult).await?;
    let Charge { team, member, .. } = charge;
    let (movement, commission) = match next {
        ChargeState::Held => return Ok(()),
        ChargeState::Earned => (
            Movement::finish(consult, team, charge.price, charge.commission),
            charge.commission.of(charge.price),
        ),
        ChargeState::Returned => {
            let split = returned(tx, &charge).await?;
            (Movement::cancel(consult, team, member, split), Fen::ZERO)
        }
    };
    table::settle(tx, &charge, next, commission, now_ms).await?;
    let transfer = Transfer {
        id: transfer,
        movement,
        by: Some(by),
        now_ms,
    };
    ledger::post(tx, transfer).await?;
    Ok(())
}

/// Where a price goes back to. A membership's end closed its fee, also when its member joined again: all of the price goes to
/// the wallet, where the fee's rest went.
async fn returned(tx: &mut Transaction<'_>, charge: &Charge) -> Result<Split, Error> {
    if charge.split.fee.is_zero() || lasts(tx, charge).await? {
        return Ok(charge.split);
    }
    Ok(Split {
        fee: Fen::ZERO,
        wallet: charge.price,
    })
}

/// Whether the membership whose fee paid lasts; it is locked.
async fn lasts(tx: &mut Transaction<'_>, charge: &Charge) -> Result<bool, Error> {
    let (team, member) = (charge.team, charge.member);
    Ok(team::lock_member(tx, team, member).await?
        && team::times_of_membership(tx, team, member).await? == charge.membership)
}
