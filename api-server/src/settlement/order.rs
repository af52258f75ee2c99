//! Orders that stay silent: their provider is asked for them, and they are closed at last. All times are those of the
//! database's clock, so that no process whose clock is ahead closes an order early.

use futures_util::{StreamExt, stream};
use jobs::{Failure, Next, Turn};
use ledger::Outside;
use payment::{Driver, OrderState, Payment};
use telemetry::events::payment::Event;

use super::{
    AT_ONCE, driver,
    table::asked::{self, SilentOrder},
};
use crate::{
    app::App,
    clock::now_ms,
    http::error::Error,
    wallet::{self, Applied},
};

/// When an order is asked for, after it was made. After the last one it is closed.
const ASKED_AFTER_MS: [i64; 3] = [60_000, 5 * 60_000, 30 * 60_000];
/// When the provider says that an order was paid and does not show the payment yet.
const AGAIN_MS: i64 = 60_000;
/// The longest wait, which is that after a provider failed.
const LONGEST_MS: i64 = 3_600_000;
const _: () = assert!(ASKED_AFTER_MS[ASKED_AFTER_MS.len() - 1] <= LONGEST_MS);

/// Asks for the orders that are due.
pub(super) async fn ask(app: App, provider: Outside, turn: Turn) -> Result<Next, Failure> {
    let due = asked::orders(&turn, provider, LONGEST_MS).await?;
    let waiting = due.len();
    let asking = stream::iter(due).map(|order| ask_one(&app, provider, &turn, order));
    let asked: Vec<_> = asking.buffer_unordered(AT_ONCE).collect().await;
    super::ended(&turn, waiting, asked)
}

/// An order that cannot be asked for is put later: it must not stay ahead of the others.
async fn ask_one(app: &App, provider: Outside, turn: &Turn, order: SilentOrder) -> Result<(), Failure> {
    let asked = try_one(app, provider, turn, order).await;
    if asked.is_err() {
        let now_ms = turn.database().now_ms().await?;
        let ask_ms = now_ms.saturating_add(wait_ms(now_ms, order));
        ask_later(turn, order, order.asked, ask_ms).await?;
    }
    asked
}

/// How long an order waits after its provider failed: longer the older it is.
fn wait_ms(now_ms: i64, order: SilentOrder) -> i64 {
    let age_ms = now_ms.saturating_sub(order.created_ms);
    (age_ms / 4).clamp(AGAIN_MS, LONGEST_MS)
}

async fn try_one(app: &App, provider: Outside, turn: &Turn, order: SilentOrder) -> Result<(), Failure> {
    let driver = driver(app, provider)?;
    let number = wallet::out_trade_no(order.id, order.created_ms);
    match driver.query(&number).await {
        Ok(OrderState::Paid(payment)) => paid(app, provider, turn, order, payment).await,
        Ok(OrderState::Closed) => closed(turn, order).await,
        // A provider may not know an order until its payer opens it.
        Ok(OrderState::Open | OrderState::Unknown) | Err(payment::Failure::Refused(_)) => {
            silent(driver, turn, order, &number).await
        }
        Err(away) => Err(Failure::work(away)),
    }
}

/// Posts a payment by the function that a notice uses.
async fn paid(
    app: &App,
    provider: Outside,
    turn: &Turn,
    order: SilentOrder,
    payment: Payment,
) -> Result<(), Failure> {
    let transfer = app.database.allocate_id(ledger::SEQUENCE).await?;
    let applied = turn.transaction::<_, Error, _>(move |tx| {
        Box::pin(async move {
            let applied = wallet::apply_paid(tx, transfer, provider, &payment, now_ms()).await?;
            if let Applied::Refused(_) = applied {
                // Asking again finds the same. The bill of the day shows it.
                asked::stop(tx, order.id).await?;
            }
            Ok(applied)
        })
    });
    if let Applied::Refused(reason) = applied.await? {
        let (provider, order) = (provider.as_str(), order.id);
        Event::PaymentRefused {
            provider,
            order,
            reason,
        }
        .emit();
    }
    Ok(())
}

async fn silent(driver: &Driver, turn: &Turn, order: SilentOrder, number: &str) -> Result<(), Failure> {
    let now_ms = turn.database().now_ms().await?;
    if let Some(ask_ms) = next_ask_ms(order, now_ms) {
        return ask_later(turn, order, order.asked + 1, ask_ms).await;
    }
    match driver.close(number).await {
        Ok(()) => closed(turn, order).await,
        // It was paid meanwhile.
        Err(payment::Failure::Refused(_)) => ask_later(turn, order, order.asked, now_ms + AGAIN_MS).await,
        Err(away) => Err(Failure::work(away)),
    }
}

/// When it is asked for after this time; `None` when this was the last. An order that a clock of an earlier release made in
/// the future waits from now on.
fn next_ask_ms(order: SilentOrder, now_ms: i64) -> Option<i64> {
    let asked = usize::try_from(order.asked).ok()?;
    let after_ms = ASKED_AFTER_MS.get(asked + 1)?;
    Some(order.created_ms.min(now_ms).saturating_add(*after_ms))
}

async fn ask_later(turn: &Turn, order: SilentOrder, asked: i64, ask_ms: i64) -> Result<(), Failure> {
    let later = turn.transaction::<_, Error, _>(move |tx| {
        Box::pin(async move { asked::ask_later(tx, order.id, asked, ask_ms).await })
    });
    Ok(later.await?)
}

async fn closed(turn: &Turn, order: SilentOrder) -> Result<(), Failure> {
    let closed =
        turn.transaction::<_, Error, _>(move |tx| Box::pin(async move { asked::close(tx, order.id).await }));
    Ok(closed.await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_order_is_asked_for_three_times() {
        let next = |asked, now_ms| {
            let order = SilentOrder {
                id: 1,
                created_ms: 1000,
                asked,
            };
            next_ask_ms(order, now_ms)
        };
        assert_eq!(
            [0, 1, 2, 3, -1].map(|asked| next(asked, 61_000)),
            [Some(301_000), Some(1_801_000), None, None, None]
        );
        // Made in the future.
        assert_eq!(
            [0, 1].map(|asked| next(asked, 0)),
            [Some(300_000), Some(1_800_000)]
        );
    }

    #[test]
    fn an_order_whose_provider_fails_waits_longer_the_older_it_is() {
        let order = SilentOrder {
            id: 1,
            created_ms: 0,
            asked: 0,
        };
        let minutes = |age_minutes: i64| wait_ms(age_minutes * 60_000, order) / 60_000;
        assert_eq!([1, 4, 40, 240, 2400].map(minutes), [1, 1, 10, 60, 60]);
        // A clock that was set back.
        assert_eq!(wait_ms(-1_000, order), AGAIN_MS);
    }
}
