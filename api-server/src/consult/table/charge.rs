//! The SQL of the prices of consults.

use database::{Transaction, params};
use ledger::{Commission, Fen, Month, Split};
use proto::UserId;

use crate::{consult::life::ChargeState, http::error::Error};

/// The price of a consult, and how it was paid.
#[derive(Clone, Copy, Debug)]
pub(in crate::consult) struct Charge {
    pub(in crate::consult) consult: i64,
    pub(in crate::consult) team: i64,
    pub(in crate::consult) member: UserId,
    pub(in crate::consult) price: Fen,
    pub(in crate::consult) commission: Commission,
    pub(in crate::consult) split: Split,
    /// The membership whose fee paid a part, as they are counted.
    pub(in crate::consult) membership: i64,
}

/// Inserts the price of a consult that begins.
pub(in crate::consult) async fn hold(
    tx: &mut Transaction<'_>,
    charge: &Charge,
    now_ms: i64,
) -> Result<(), Error> {
    tx.enqueue_one(
        "INSERT INTO consult_charge (consult_id, team_id, member_id, price_fen, commission_per_mille, fee_fen,
                                     wallet_fen, fee_times, state, commission_fen, refunded_fen, created_ms, ended_ms,
                                     month)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, $10, NULL, NULL)",
        params![
            charge.consult,
            charge.team,
            charge.member.get(),
            charge.price.get(),
            charge.commission.get(),
            charge.split.fee.get(),
            charge.split.wallet.get(),
            charge.membership,
            ChargeState::Held.as_str(),
            now_ms
        ],
    )
    .await?;
    Ok(())
}

const HELD: &str =
    "SELECT consult_id, team_id, member_id, price_fen, commission_per_mille, fee_fen, wallet_fen, fee_times
     FROM consult_charge WHERE consult_id = $1 AND state = $2";

/// The held price of a locked consult.
pub(in crate::consult) async fn held(tx: &mut Transaction<'_>, consult: i64) -> Result<Charge, Error> {
    let row = tx
        .query_first(HELD, params![consult, ChargeState::Held.as_str()])
        .await?;
    let row = row.ok_or_else(|| Error::internal("a consult's price is not held"))?;
    let amount = |at| {
        let fen: i64 = row.get(at)?;
        Fen::new(fen).ok_or_else(|| Error::internal("consult_charge has no amount"))
    };
    let commission = Commission::new(row.get(4)?)
        .ok_or_else(|| Error::internal("consult_charge.commission_per_mille is no share"))?;
    Ok(Charge {
        consult: row.get(0)?,
        team: row.get(1)?,
        member: UserId::from_database(row.get(2)?),
        price: amount(3)?,
        commission,
        split: Split {
            fee: amount(5)?,
            wallet: amount(6)?,
        },
        membership: row.get(7)?,
    })
}

/// Ends the holding of a price. `commission` is the platform's part of it.
pub(in crate::consult) async fn settle(
    tx: &mut Transaction<'_>,
    charge: &Charge,
    next: ChargeState,
    commission: Fen,
    now_ms: i64,
) -> Result<(), Error> {
    // The consult is locked, so its price is still held.
    tx.enqueue_one(
        "UPDATE consult_charge SET state = $1, ended_ms = $2, month = $3, commission_fen = $4
             WHERE consult_id = $5 AND state = $6",
        params![
            next.as_str(),
            now_ms,
            Month::at(now_ms).get(),
            commission.get(),
            charge.consult,
            ChargeState::Held.as_str()
        ],
    )
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(HELD, params![1_i64, "held"]).await;
    }
}
