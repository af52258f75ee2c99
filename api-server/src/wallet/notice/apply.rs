//! A provider's word, compared with our rows, and done once.

use database::Transaction;
use ledger::{Fen, Movement, Outside, Posted, Transfer};
use payment::{Event, Payment};
use telemetry::events::payment::Event as Report;

use crate::{
    app::App,
    clock::now_ms,
    http::error::Error,
    wallet::{
        order::{order_of, out_refund_no, out_trade_no, refund_of},
        refund::{self, Outcome},
        table::{
            notice::{self, Received},
            order::{self, Order, OrderState},
            refund::{Refund, lock as lock_refund},
        },
    },
};

/// The effect of a provider's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// It was done now.
    Now,
    /// It had been done before, or came too late to change anything.
    Before,
    /// It is not what our row says: nothing moved.
    Refused(&'static str),
}

/// Does what a provider says, in one transaction.
pub(crate) async fn apply(app: &App, provider: Outside, event: Event) -> Result<Applied, Error> {
    applied(app, provider, event, None).await
}

/// As [`apply`]; the notice is recorded with it.
pub(super) async fn applied(
    app: &App,
    provider: Outside,
    event: Event,
    received: Option<Received>,
) -> Result<Applied, Error> {
    let transfer = app.database.allocate_id(ledger::SEQUENCE).await?;
    let order = match &event {
        Event::Paid(payment) => order_of(&payment.out_trade_no),
        _ => None,
    };
    let applied = app
        .database
        .transaction(move |tx| {
            Box::pin(async move {
                let now_ms = now_ms();
                let (order, applied) = apply_in(tx, transfer, provider, &event, now_ms).await?;
                if let Some(received) = received {
                    let record = match applied {
                        Applied::Refused(reason) => (None, reason),
                        Applied::Now | Applied::Before => (order, word(&event)),
                    };
                    notice::record(tx, provider, &received, record, now_ms).await?;
                }
                Ok::<_, Error>(applied)
            })
        })
        .await?;
    if let (Some(order), Applied::Refused(reason)) = (order, applied) {
        let provider = provider.as_str();
        Report::PaymentRefused {
            provider,
            order,
            reason,
        }
        .emit();
    }
    Ok(applied)
}

const fn word(event: &Event) -> &'static str {
    match event {
        Event::Paid(_) => "paid",
        Event::Closed { .. } => "closed",
        Event::Refunded { .. } => "refunded",
        Event::RefundFailed { .. } => "refund_failed",
        Event::Other => "other",
    }
}

/// The order that an event concerns, and its effect.
async fn apply_in(
    tx: &mut Transaction<'_>,
    transfer: i64,
    provider: Outside,
    event: &Event,
    now_ms: i64,
) -> Result<(Option<i64>, Applied), Error> {
    match event {
        Event::Paid(payment) => {
            let applied = apply_paid(tx, transfer, provider, payment, now_ms).await?;
            Ok((order_of(&payment.out_trade_no), applied))
        }
        Event::Closed { out_trade_no } => {
            let applied = apply_closed(tx, provider, out_trade_no).await?;
            Ok((order_of(out_trade_no), applied))
        }
        Event::Refunded {
            out_refund_no,
            amount_fen,
        } => {
            let (number, amount) = (out_refund_no.as_str(), Some(*amount_fen));
            end_refund(tx, transfer, (provider, number, amount), Outcome::Done, now_ms).await
        }
        Event::RefundFailed {
            out_refund_no,
            reason,
        } => {
            let outcome = Outcome::Failed(reason.clone());
            end_refund(tx, transfer, (provider, out_refund_no, None), outcome, now_ms).await
        }
        Event::Other => Ok((None, Applied::Before)),
    }
}

/// An order was paid: locks it, compares it, and posts its top-up, once. An order that was closed here becomes paid.
///
/// # Errors
/// Those of the ledger and of the database.
pub(crate) async fn apply_paid(
    tx: &mut Transaction<'_>,
    transfer: i64,
    provider: Outside,
    payment: &Payment,
    now_ms: i64,
) -> Result<Applied, Error> {
    let Some(order) = lock_order(tx, provider, &payment.out_trade_no).await? else {
        return Ok(Applied::Refused("unknown_order"));
    };
    if let Some(reason) = differs(&order, payment) {
        return Ok(Applied::Refused(reason));
    }
    if order.state() == OrderState::Paid {
        return Ok(Applied::Before);
    }
    order::pay(tx, order.order_id, payment).await?;
    let amount = Fen::new(order.amount_fen).ok_or_else(|| Error::internal("payment_order.amount_fen"))?;
    let transfer = Transfer {
        id: transfer,
        movement: Movement::top_up(order.order_id, provider, order.user, amount),
        by: None,
        now_ms,
    };
    match ledger::post(tx, transfer).await? {
        Posted::Now => Ok(Applied::Now),
        Posted::Before => Err(Error::internal("an order was topped up before it was paid")),
    }
}

/// Locks the order of a provider's number.
async fn lock_order(
    tx: &mut Transaction<'_>,
    provider: Outside,
    number: &str,
) -> Result<Option<Order>, Error> {
    let Some(id) = order_of(number) else {
        return Ok(None);
    };
    let order = order::lock(tx, id).await?;
    let is_it = |order: &Order| order.provider() == provider && out_trade_no(id, order.created_ms) == number;
    Ok(order.filter(is_it))
}

/// In what a payment differs from its order.
fn differs(order: &Order, payment: &Payment) -> Option<&'static str> {
    /// As the providers document it.
    const MAX_TRANSACTION_ID_BYTES: usize = 64;
    let known = order.transaction_id.as_deref();
    if payment.amount_fen != order.amount_fen {
        Some("amount_differs")
    } else if payment.currency != "CNY" {
        Some("currency_differs")
    } else if !(1..=MAX_TRANSACTION_ID_BYTES).contains(&payment.transaction_id.len()) {
        Some("transaction_id_invalid")
    } else if known.is_some_and(|known| known != payment.transaction_id) {
        Some("paid_by_another_transaction")
    } else {
        None
    }
}

/// An order cannot be paid any more. What was paid stays paid.
async fn apply_closed(tx: &mut Transaction<'_>, provider: Outside, number: &str) -> Result<Applied, Error> {
    let Some(order) = lock_order(tx, provider, number).await? else {
        return Ok(Applied::Refused("unknown_order"));
    };
    if order.state() != OrderState::Open {
        return Ok(Applied::Before);
    }
    order::close(tx, order.order_id).await?;
    Ok(Applied::Now)
}

async fn end_refund(
    tx: &mut Transaction<'_>,
    transfer: i64,
    (provider, number, amount_fen): (Outside, &str, Option<i64>),
    outcome: Outcome,
    now_ms: i64,
) -> Result<(Option<i64>, Applied), Error> {
    let unknown = Ok((None, Applied::Refused("unknown_refund")));
    let Some(id) = refund_of(number) else {
        return unknown;
    };
    let is_it =
        |refund: &Refund| refund.provider() == provider && out_refund_no(id, refund.created_ms) == number;
    let Some(refund) = lock_refund(tx, id).await?.filter(is_it) else {
        return unknown;
    };
    if amount_fen.is_some_and(|amount_fen| amount_fen != refund.amount_fen) {
        return Ok((None, Applied::Refused("amount_differs")));
    }
    let ended = refund::end_refund(tx, transfer, id, outcome, now_ms).await?;
    let applied = if ended { Applied::Now } else { Applied::Before };
    Ok((Some(refund.order_id), applied))
}
