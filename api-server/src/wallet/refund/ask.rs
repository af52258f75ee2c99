//! Asking for unspent balance back.

use axum::extract::State;
use database::Transaction;
use ledger::{Account, Fen, Movement, Outside, Transfer};
use payment::Driver;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    account,
    app::{App, Written},
    clock::now_ms,
    http::{
        answer::{Answer, Envelope},
        docs::DemandedKey,
        error::{Error, ErrorCode},
        input::{Within, Write},
    },
    wallet::{
        Caller,
        table::{
            order::{self, Back, Refundable},
            refund::{self, NewRefund, Refund},
        },
    },
};

/// Orders that one request pays back at most.
const MAX_PARTS: usize = ErrorCode::PayBackLimit.limit() as usize;
/// How long providers pay an order back, milliseconds: a year.
const REFUNDABLE_MS: i64 = 365 * 24 * 60 * 60 * 1000;

/// Balance that is to go back.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"amount_fen": 5000}))]
pub(crate) struct NewWalletRefund {
    amount_fen: Within<1, 1_000_000_000_000>,
}

/// Refunds that were asked for together.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AskedRefunds {
    amount_fen: i64,
    /// One for each order that it goes back to.
    refunds: Vec<Refund>,
}

/// Asks for unspent balance back
///
/// By the member. It leaves the wallet at once and goes back to the orders that it came from, the newest first, of the last
/// year. What a provider refuses is in the wallet again. One request takes back what came by 20 orders; what came by more is
/// asked for again afterwards, with a new key. Refusals name what one request takes back now: `refundable_fen`, beside `error`
/// of `wallet.refund_limit_reached` and `wallet.provider_off`.
#[utoipa::path(
    operation_id = "refundWallet",
    post, path = "/wallet/refund", tag = "wallet", request_body = NewWalletRefund, params(DemandedKey),
    responses(
        (status = 200, body = Envelope<AskedRefunds>),
        (status = 402, description = "`wallet.insufficient`"),
        (status = 403, description = "`wallet.members_only`"),
        (status = 409, description = "`wallet.not_refundable`, `wallet.refund_limit_reached`, `wallet.provider_off`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn ask(
    State(app): State<App>,
    user: Caller,
    Write { body, once }: Write<NewWalletRefund>,
) -> Result<Answer, Error> {
    once.demand_key()?;
    let amount_fen = body.amount_fen.get();
    let mut ids = Vec::with_capacity(MAX_PARTS);
    for _ in 0..MAX_PARTS {
        let refund = app.database.allocate_id(refund::SEQUENCE).await?;
        ids.push((refund, app.database.allocate_id(ledger::SEQUENCE).await?));
    }
    let offered: Vec<Outside> = app.providers.iter().map(Driver::outside).collect();
    app.write(once, move |tx| {
        Box::pin(async move {
            account::lock(tx, user.id).await?;
            let asked_ms = tx.now_ms().await?;
            let back = Back::new(user.id, asked_ms - REFUNDABLE_MS, |provider| {
                offered.contains(&provider)
            });
            let refunds = pay_back(tx, &back, amount_fen, (asked_ms, ids)).await?;
            Ok(Written::new(Answer::one(&AskedRefunds { amount_fen, refunds })?))
        })
    })
    .await
}

/// Splits an amount over orders, and takes each part out of the wallet. The account is locked.
async fn pay_back(
    tx: &mut Transaction<'_>,
    back: &Back,
    amount_fen: i64,
    (asked_ms, ids): (i64, Vec<(i64, i64)>),
) -> Result<Vec<Refund>, Error> {
    let user = back.user;
    let orders = order::refundable(tx, back, ErrorCode::PayBackLimit.limit()).await?;
    let Some(parts) = split(amount_fen, &orders) else {
        return Err(refusal(tx, back, amount_fen, &orders).await?);
    };
    let (mut refunds, mut movements) = (Vec::new(), Vec::new());
    for ((order, part_fen), (id, transfer)) in parts.into_iter().zip(ids) {
        let new = NewRefund {
            id,
            user,
            order: order.order,
            provider: order.provider,
            amount_fen: part_fen,
        };
        order::count_refund(tx, order.order, part_fen).await?;
        refunds.push(refund::insert(tx, new, asked_ms).await?);
        let part = Fen::new(part_fen).ok_or_else(|| Error::internal("payment_order.amount_fen"))?;
        movements.push((transfer, Movement::pay_back(id, order.provider, user, part)));
    }
    let now_ms = now_ms();
    // Accounts of the ledger are locked after all other rows.
    for (id, movement) in movements {
        let transfer = Transfer {
            id,
            movement,
            by: Some(user),
            now_ms,
        };
        ledger::post(tx, transfer).await?;
    }
    Ok(refunds)
}

/// The refusal of an amount that exceeds what one request takes back.
async fn refusal(
    tx: &mut Transaction<'_>,
    back: &Back,
    amount_fen: i64,
    orders: &[Refundable],
) -> Result<Error, Error> {
    let (offered_fen, all_fen) = order::rests(tx, back).await?;
    if amount_fen > all_fen {
        return Ok(ErrorCode::PayBackTooMuch.into());
    }
    let balance_fen = ledger::balance_in(tx, Account::Wallet(back.user)).await?;
    if amount_fen > balance_fen {
        return Ok(ErrorCode::WalletInsufficient.into());
    }
    let at_once_fen: i64 = orders.iter().map(|order| order.rest_fen).sum();
    let code = match amount_fen <= offered_fen {
        true => ErrorCode::PayBackLimit,
        false => ErrorCode::ProviderOff,
    };
    Ok(Error::new(code).refundable(at_once_fen.min(balance_fen)))
}

/// The part of each order, in their order; `None` when they hold less.
fn split(amount_fen: i64, orders: &[Refundable]) -> Option<Vec<(Refundable, i64)>> {
    let mut rest = amount_fen;
    let mut parts = Vec::new();
    for order in orders {
        let part = rest.min(order.rest_fen);
        if part > 0 {
            parts.push((*order, part));
            rest -= part;
        }
    }
    (rest == 0).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_orders_pay_back_first_and_no_more_than_they_hold() {
        let order = |order, rest_fen| Refundable {
            order,
            provider: Outside::Mockpay,
            rest_fen,
        };
        let orders = [order(3, 50), order(2, 100), order(1, 7)];
        let parts = |amount| {
            let parts = split(amount, &orders)?.into_iter();
            Some(parts.map(|(order, part)| (order.order, part)).collect::<Vec<_>>())
        };
        assert_eq!(parts(1), Some(vec![(3, 1)]));
        assert_eq!(parts(50), Some(vec![(3, 50)]));
        assert_eq!(parts(51), Some(vec![(3, 50), (2, 1)]));
        assert_eq!(parts(157), Some(vec![(3, 50), (2, 100), (1, 7)]));
        assert_eq!(parts(158), None);
        assert_eq!(split(1, &[]), None);
    }
}
