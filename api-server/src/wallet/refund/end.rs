//! The end of a refund, by the provider's word.

use database::Transaction;
use ledger::{Fen, Movement, Transfer};

use crate::{
    http::error::Error,
    wallet::table::{order, refund},
};

/// The longest failure that is kept, characters.
const MAX_FAILURE_CHARS: usize = 500;

/// How a refund ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// For good, by the provider's words.
    Failed(String),
}

/// Ends a refund: locks it, and gives the amount back to the wallet when it has failed, by a transfer of `now_ms`, epoch
/// milliseconds. False when it had ended before, or is unknown.
///
/// # Errors
/// Those of the ledger and of the database.
pub(crate) async fn end_refund(
    tx: &mut Transaction<'_>,
    transfer: i64,
    refund_id: i64,
    outcome: Outcome,
    now_ms: i64,
) -> Result<bool, Error> {
    let Some(refund) = refund::lock(tx, refund_id)
        .await?
        .filter(refund::Refund::is_asked)
    else {
        return Ok(false);
    };
    let Outcome::Failed(failure) = outcome else {
        refund::end(tx, refund_id, None).await?;
        return Ok(true);
    };
    let failure: String = failure.chars().take(MAX_FAILURE_CHARS).collect();
    refund::end(tx, refund_id, Some(&failure)).await?;
    order::count_refund(tx, refund.order_id, -refund.amount_fen).await?;
    let amount = Fen::new(refund.amount_fen).ok_or_else(|| Error::internal("payment_refund.amount_fen"))?;
    let transfer = Transfer {
        id: transfer,
        movement: Movement::pay_back_failed(refund_id, refund.provider(), refund.user, amount),
        by: None,
        now_ms,
    };
    ledger::post(tx, transfer).await?;
    Ok(true)
}
