//! Balance that goes back: each refund is handed to its provider, and asked for until it has arrived or failed. All times but
//! those of transfers are of the database's clock.

use futures_util::{StreamExt, stream};
use jobs::{Failure, Next, Turn};
use ledger::{Fen, Outside};
use payment::{Driver, NewRefund, RefundState};
use telemetry::events::payment::Event;

use super::{
    AT_ONCE, driver,
    table::asked::{self, AskedRefund},
};
use crate::{
    app::App,
    clock::now_ms,
    http::error::Error,
    wallet::{self, Outcome},
};

/// Until it is asked for first; twice that after each further time.
const FIRST_MS: i64 = 60_000;
/// The longest of those times.
const LONGEST_MS: i64 = 6 * 3_600_000;
/// For the payer, at the provider.
const REASON: &str = "余额退回";

/// Hands over the refunds that are due, or asks for them.
pub(super) async fn hand_over(app: App, provider: Outside, turn: Turn) -> Result<Next, Failure> {
    let due = asked::refunds(&turn, provider, LONGEST_MS).await?;
    let waiting = due.len();
    let handing = stream::iter(due).map(|refund| hand_over_one(&app, provider, &turn, refund));
    let handed: Vec<_> = handing.buffer_unordered(AT_ONCE).collect().await;
    super::ended(&turn, waiting, handed)
}

/// A refund that cannot be handed over is put later: it must not stay ahead of the others.
async fn hand_over_one(
    app: &App,
    provider: Outside,
    turn: &Turn,
    refund: AskedRefund,
) -> Result<(), Failure> {
    let handed = try_one(app, provider, turn, refund).await;
    if handed.is_err() {
        ask_later(turn, refund).await?;
    }
    handed
}

async fn try_one(app: &App, provider: Outside, turn: &Turn, refund: AskedRefund) -> Result<(), Failure> {
    let driver = driver(app, provider)?;
    let state = match refund.asked {
        0 => RefundState::Unknown,
        _ => asked_state(driver, refund).await?,
    };
    let state = match state {
        RefundState::Unknown => handed_state(driver, refund).await?,
        known => known,
    };
    match state {
        RefundState::Done => end(app, provider, turn, refund, Outcome::Done).await,
        RefundState::Failed(reason) => end(app, provider, turn, refund, Outcome::Failed(reason)).await,
        RefundState::Running | RefundState::Unknown => ask_later(turn, refund).await,
    }
}

/// The state of a refund that was handed over before.
async fn asked_state(driver: &Driver, refund: AskedRefund) -> Result<RefundState, Failure> {
    let number = wallet::out_refund_no(refund.id, refund.created_ms);
    let order = wallet::out_trade_no(refund.order, refund.order_created_ms);
    match driver.query_refund(&number, &order).await {
        Ok(state) => Ok(state),
        Err(payment::Failure::Refused(_)) => Ok(RefundState::Running),
        Err(away) => Err(Failure::work(away)),
    }
}

/// Hands a refund over, under a number by which the provider refunds once.
async fn handed_state(driver: &Driver, refund: AskedRefund) -> Result<RefundState, Failure> {
    let amount = |fen| Fen::new(fen).ok_or_else(|| Failure::work("an amount is not one"));
    let new = NewRefund {
        out_refund_no: wallet::out_refund_no(refund.id, refund.created_ms),
        out_trade_no: wallet::out_trade_no(refund.order, refund.order_created_ms),
        amount: amount(refund.amount_fen)?,
        total: amount(refund.total_fen)?,
        reason: REASON.to_owned(),
    };
    match driver.refund(new).await {
        Ok(state) => Ok(state),
        Err(payment::Failure::Refused(reason)) => Ok(RefundState::Failed(reason)),
        Err(away) => Err(Failure::work(away)),
    }
}

async fn end(
    app: &App,
    provider: Outside,
    turn: &Turn,
    refund: AskedRefund,
    outcome: Outcome,
) -> Result<(), Failure> {
    let transfer = app.database.allocate_id(ledger::SEQUENCE).await?;
    let failed = matches!(outcome, Outcome::Failed(_));
    let ended = turn.transaction::<_, Error, _>(move |tx| {
        Box::pin(async move { wallet::end_refund(tx, transfer, refund.id, outcome, now_ms()).await })
    });
    if ended.await? && failed {
        let (provider, refund) = (provider.as_str(), refund.id);
        Event::PayBackFailed { provider, refund }.emit();
    }
    Ok(())
}

async fn ask_later(turn: &Turn, refund: AskedRefund) -> Result<(), Failure> {
    let ask_ms = turn
        .database()
        .now_ms()
        .await?
        .saturating_add(wait_ms(refund.asked));
    let later = turn.transaction::<_, Error, _>(move |tx| {
        Box::pin(async move { asked::ask_later_for_refund(tx, refund.id, refund.asked + 1, ask_ms).await })
    });
    Ok(later.await?)
}

/// How long a refund waits after it was asked for so often.
fn wait_ms(asked: i64) -> i64 {
    let doublings = asked.clamp(0, 20);
    (FIRST_MS << doublings).min(LONGEST_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refund_is_asked_for_as_long_as_it_takes() {
        let minutes = |asked| wait_ms(asked) / 60_000;
        assert_eq!([0, 1, 2, 8, 9, 1000].map(minutes), [1, 2, 4, 256, 360, 360]);
    }
}
